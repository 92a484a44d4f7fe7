"""Names from files and users that become one component of a path."""

from typing import Any

# Separators, and what file systems or configuration files give a meaning of its own.
SPECIAL = set('/\\<>:"|?*')
LONGEST = 200


def plain_name(what: str, name: Any) -> str:
    """The name, if it is one plain component of a path on every system.

    Args:
        what: what to call it in the error.
        name: the name: 1 to 200 bytes of printable characters, none of ``/\\<>:"|?*``, without
            a dot at either end or a space at the end.

    Raises:
        ValueError: anything else, such as ``..``, ``/etc`` or a name with a quote.
    """
    plain = (
        isinstance(name, str)
        and name.isprintable()
        and not SPECIAL & set(name)
        and 0 < len(name.encode()) <= LONGEST
        and not name.startswith(".")
        and not name.endswith((".", " "))
    )
    if not plain:
        raise ValueError(
            f"{what} must be one plain name, printable, without a path, quotes or a leading dot; "
            f"got {name!r:.80}"
        )
    return str(name)
