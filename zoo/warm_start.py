"""Start a flow from the weights of an entry of another configuration."""

from typing import Any

import zoo
from attnflow_keras.layers import Chain
from zoo.errors import ZooError
from zoo.registry import entries


def start_from(flow: Any, name: str) -> tuple[int, int]:
    """Copy an entry's weights into a flow, those of equal paths and shapes.

    A class-conditional flow can so start from an unconditional one. The flow counts as adapted.

    Args:
        flow: the flow, whose other weights stay as they are.
        name: a registered entry.

    Returns:
        How many of the flow's variables were set, and how many there are.

    Raises:
        ZooError: no such entry, one without weights, or one with no variable in common.
    """
    if name not in entries():
        # A path in a stranger's recipe is none that the user chose.
        raise ZooError(f"start_from must be a registered entry of the zoo; got {name!r:.80}")
    found = _variables(flow)
    entry = zoo.load(name, dtype=flow.dtype_policy.name)
    theirs = _variables(entry)
    common = [
        path
        for path, variable in theirs.items()
        if path in found and tuple(found[path].shape) == tuple(variable.shape)
    ]
    if not any(found[path].trainable for path in common):
        raise ZooError(
            f"start_from={name!r}: no weights have the paths and shapes of those of {flow.name}"
        )
    for path in common:
        found[path].assign(theirs[path])
    return len(common), len(found)


def _variables(flow: Any) -> dict[str, Any]:
    """Variables by the names of the layers around them, whatever number Keras gave these."""
    parts = flow.multi_scale.named_layers()
    if getattr(flow, "encoder", None) is not None:
        parts["encoder"] = flow.encoder
    found = {"adapted": flow.adapted}
    while parts:
        name, layer = parts.popitem()
        if isinstance(layer, Chain):
            parts |= {f"{name}/{key}": getattr(layer, key) for key in layer.order}
            continue
        for variable in layer.variables:
            found[f"{name}/{variable.path.partition(f'/{layer.name}/')[2]}"] = variable
    return found
