"""How layers make their weights, where that is to differ."""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

_LOCK = threading.RLock()  # of the method that is replaced


@contextlib.contextmanager
def weights_made_by(make: Callable[..., Any]) -> Iterator[None]:
    """Within the block, in this thread, ``make`` takes the place of ``Layer.add_weight``.

    Args:
        make: takes the method that it replaces, the layer, and the method's arguments.
    """
    thread = threading.get_ident()

    def add_weight(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(layer, *args, **kwargs)
        return make(original, layer, *args, **kwargs)

    with _LOCK:
        # Every layer makes its weights by this method, before which there is nothing.
        original = keras.layers.Layer.add_weight
        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = original


@contextlib.contextmanager
def undrawn_weights() -> Iterator[None]:
    """Within the block weights start as zeros; for models that get all of their weights next.

    Drawing them takes time, and on JAX compiles a program for each shape.
    """

    def make(original: Callable[..., Any], layer: Any, *args: Any, **kwargs: Any) -> Any:
        drawn = args[1] if len(args) > 1 else kwargs.get("initializer")
        if drawn is None or isinstance(drawn, str) or callable(drawn):
            if len(args) > 1:
                args = (args[0], _zeros, *args[2:])
            else:
                kwargs["initializer"] = _zeros
        return original(layer, *args, **kwargs)

    with weights_made_by(make):
        yield


@contextlib.contextmanager
def weights_by_numpy() -> Iterator[None]:
    """Within the block NumPy draws the start values of weights, from Keras' distributions.

    For JAX, where Keras compiles a program for each shape. The draws follow
    ``keras.utils.set_random_seed``.
    """

    def make(original: Callable[..., Any], layer: Any, *args: Any, **kwargs: Any) -> Any:
        given = args[1] if len(args) > 1 else kwargs.get("initializer")
        draw = _numpy_draw("glorot_uniform" if given is None else given)
        if draw is not None and len(args) < 3:
            args, kwargs = args[:1], {**kwargs, "initializer": draw}
        return original(layer, *args, **kwargs)

    with weights_made_by(make):
        yield


def _numpy_draw(given: Any) -> Callable[..., np.ndarray] | None:
    """What draws as an initializer of Keras does; None for one that is not known here."""
    start = keras.initializers.get(given) if isinstance(given, str) else given
    known = keras.initializers
    if isinstance(start, known.VarianceScaling):
        return lambda shape, dtype=None: _scaled(start, tuple(shape)).astype(dtype)
    if isinstance(start, known.RandomNormal):
        return lambda shape, dtype=None: np.random.normal(start.mean, start.stddev, shape).astype(
            dtype
        )
    if isinstance(start, known.RandomUniform):
        return lambda shape, dtype=None: np.random.uniform(
            start.minval, start.maxval, shape
        ).astype(dtype)
    if isinstance(start, known.Zeros):
        return _zeros
    return None


def _scaled(start: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A draw of ``keras.initializers.VarianceScaling``."""
    field = math.prod(shape[:-2])
    fan_in, fan_out = (shape[0], shape[0]) if len(shape) == 1 else (n * field for n in shape[-2:])
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    variance = start.scale / max(1.0, fans[start.mode])
    if start.distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return np.random.uniform(-limit, limit, shape)
    if start.distribution == "untruncated_normal":
        return np.random.normal(0.0, math.sqrt(variance), shape)
    # Cut at two standard deviations, which makes it narrower.
    values = np.random.standard_normal(shape)
    while (far := np.abs(values) > 2.0).any():
        values[far] = np.random.standard_normal(far.sum())
    return values * math.sqrt(variance) / 0.87962566103423978


def _zeros(shape: Any, dtype: Any = None) -> np.ndarray:
    return np.zeros(tuple(shape), dtype)
