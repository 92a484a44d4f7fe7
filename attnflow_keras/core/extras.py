"""How to install what an optional feature needs."""

import importlib.metadata
import re

DISTRIBUTION = "attnflow-keras"


def install_command(extra: str) -> str:
    """A pip command for the packages of an extra, right in a clone and after a wheel alike.

    It names the packages themselves: the distribution need not be on any index.

    Args:
        extra: name of the extra, as in pyproject.toml.
    """
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # the source without an installation
        return f"pip install '.[{extra}]' in a clone of {DISTRIBUTION}"
    marker = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    parts = (requirement.partition(";") for requirement in requirements)
    packages = [package.strip() for package, _, rule in parts if marker.search(rule)]
    return "pip install " + " ".join(f"'{package}'" for package in packages)
