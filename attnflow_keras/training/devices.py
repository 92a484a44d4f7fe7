"""The devices that a flow is trained and run on."""

import contextlib
from collections.abc import Iterator
from typing import Any

from attnflow_keras.core.checks import is_integer
from attnflow_keras.core.wording import counted

ALL = "all"


def prepare_devices(count: int = 1) -> str:
    """Let TensorFlow, if it is the backend, allocate GPU memory as needed.

    Call it before any computation; otherwise TensorFlow allocates all memory of every GPU at once.
    No effect without a GPU.

    Args:
        count: how many devices are used.

    Returns:
        Description of the devices: the GPUs, or the CPU.
    """
    from attnflow_keras import backend

    return backend.devices.prepare_devices(count)


def check_devices(name: str, wanted: int | str) -> int:
    """The number of devices requested by the user.

    Args:
        name: the argument's name, for the error.
        wanted: the number, or ``"all"``.

    Raises:
        ValueError: neither, or more than there are.
    """
    from attnflow_keras import backend

    names, processes = backend.devices.device_names(), backend.devices.process()[1]
    if wanted == ALL:
        return len(names)
    if processes > 1 and wanted != len(names):
        raise ValueError(
            f"{name} must be {ALL!r} where {processes} processes train together; got {wanted!r}"
        )
    if not is_integer(wanted) or not 1 <= wanted <= len(names):
        kind = names[0].partition(":")[0].upper()
        raise ValueError(
            f"{name} must be {ALL!r} or a number from 1 to {len(names)}, as there "
            f"{'is' if len(names) == 1 else 'are'} {counted(len(names), kind + ' device')}; got "
            f"{wanted!r}"
        )
    return int(wanted)


@contextlib.contextmanager
def on_devices(wanted: int | str = ALL) -> Iterator[int]:
    """Place flows that are built or loaded in this block on several devices, where they stay.

    ``fit``, ``evaluate``, scores and samples of such a flow split each batch among them, within the
    block and after it. A training step equals that of one device with the whole batch.

    >>> with training.on_devices("all") as count:
    ...     flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)
    >>> count >= 1
    True

    Args:
        wanted: number of devices, or ``"all"``.

    Raises:
        ValueError: a wrong number.
    """
    from attnflow_keras import backend

    count = check_devices("devices", wanted)
    scope: Any = backend.devices.device_scope(count) if count > 1 else contextlib.nullcontext()
    with scope:
        yield count
