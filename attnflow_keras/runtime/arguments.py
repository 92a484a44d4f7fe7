"""Checks of the arrays that a session is given, with errors that name the argument."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from attnflow_keras.core.arrays import sides

# ONNX's names of dtypes where NumPy has others.
ELEMENTS = {"float": "float32", "double": "float64"}


def check_shape(name: str, given: tuple[int, ...], shape: tuple[Any, ...]) -> None:
    """Raise ValueError unless ``given`` is ``(n, *shape)`` with n of at least 1.

    A side that is not an integer matches any number.
    """
    fits = len(given) == len(shape) + 1 and given[0] > 0
    if not fits or any(
        isinstance(side, int) and side != got for side, got in zip(shape, given[1:], strict=True)
    ):
        raise ValueError(
            f"{name} must have shape (n, {sides(shape)}) with n of at least 1; got {tuple(given)}"
        )


def converted(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    """A contiguous array of a dtype in the machine's byte order.

    Floats become floats of another precision, and integers other integers that can hold them.

    Raises:
        ValueError: floats for integers or the reverse, neither of them, or numbers that the
            dtype can't hold.
    """
    wanted = np.dtype(dtype)
    if array.dtype == wanted and array.dtype.isnative:
        return np.ascontiguousarray(array)
    kind = np.floating if np.issubdtype(wanted, np.floating) else np.integer
    if not np.issubdtype(array.dtype, kind):
        what = "floats" if kind is np.floating else "integers"
        raise ValueError(f"{name} must hold {what}; got dtype {array.dtype}")
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, dtype=wanted)
    # NaN and Inf stay what they are; a finite number may not become Inf, nor wrap around.
    held = (
        (np.isfinite(result) == np.isfinite(array)).all()
        if kind is np.floating
        else (result == array).all()
    )
    if not held:
        raise ValueError(
            f"{name} must fit {wanted}; got {array.dtype} from {array.min()} to {array.max()}"
        )
    return result


def graph_inputs(graph: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs as a graph takes them; values on a device are checked and pass as they are.

    Args:
        graph: an ``onnxruntime.InferenceSession``.
        inputs: NumPy arrays or ``onnxruntime.OrtValue``, by name.

    Raises:
        ValueError: no dict, other names than the graph's, something that is neither kind of array,
            another shape, an empty batch or several sizes of it, or a dtype that can't be
            converted.
    """
    import onnxruntime

    wanted = {value.name: value for value in graph.get_inputs()}
    if not isinstance(inputs, Mapping):
        raise ValueError(
            f"inputs must be a dict of arrays named {', '.join(wanted)}; got "
            f"{type(inputs).__name__}"
        )
    if set(inputs) != set(wanted):
        raise ValueError(
            f"inputs must be named {', '.join(wanted)}; got {', '.join(map(str, inputs)) or 'none'}"
        )
    ready, counts = {}, {}
    for key, value in inputs.items():
        name, expected = f"inputs[{key!r}]", wanted[key]
        if not isinstance(value, np.ndarray | onnxruntime.OrtValue):
            raise ValueError(
                f"{name} must be a NumPy array or an onnxruntime.OrtValue; got "
                f"{type(value).__name__}"
            )
        shape = value.shape if isinstance(value, np.ndarray) else value.shape()
        check_shape(name, shape, expected.shape[1:])
        counts[key] = shape[0]
        if isinstance(value, np.ndarray):
            element = expected.type.removeprefix("tensor(").removesuffix(")")
            ready[key] = converted(name, value, ELEMENTS.get(element, element))
        elif value.data_type() != expected.type:
            raise ValueError(f"{name} must be {expected.type}; got {value.data_type()}")
        else:
            ready[key] = value
    if len(set(counts.values())) > 1:
        raise ValueError(f"inputs must hold the same number of images each; got {counts}")
    return ready
