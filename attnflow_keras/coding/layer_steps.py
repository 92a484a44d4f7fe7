"""The steps of bits-back coding for the layers of a flow."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras import layers
from attnflow_keras.coding.network import Network
from attnflow_keras.coding.network_steps import coupling_step, transformer_step
from attnflow_keras.coding.steps import LiftChannels, Move, ScaleAll, Several, Shift, Step

Shape = tuple[int, int, int]

MOVING = (layers.Squeeze, layers.FlipHalves, layers.SplitColumns)


class UnsupportedLayerError(ValueError):
    """A layer that bits-back coding has no steps for."""


def steps_of(layer: Any, shape: Shape, flow: Any) -> Step:
    """The step of a layer for maps of a shape.

    Args:
        layer: a layer of a flow, or a chain of them.
        shape: ``(h, w, c)`` of its input.
        flow: the flow, for its compiled functions.

    Raises:
        UnsupportedLayerError: a layer of another kind, or in a form that loses precision.
    """
    if layer.caveat is not None:
        raise UnsupportedLayerError(f"{type(layer).__name__} with {layer.caveat}")
    if isinstance(layer, layers.Chain):
        return _chained(layer.steps(), shape, flow)
    if isinstance(layer, MOVING):
        return Move(_places(layer, shape))
    if isinstance(layer, layers.ActNorm):
        shift, factors = _actnorm(layer)
        return Several(Shift(_everywhere(shift, shape)), ScaleAll(_everywhere(factors, shape)))
    if isinstance(layer, layers.InvertibleConv1x1):
        return _convolved(layer, shape)
    if isinstance(layer, layers.TransformerCoupling):
        return transformer_step(layer, shape, Network(flow, shape))
    step = coupling_step(layer, shape, Network(flow, shape))
    if step is None:
        raise UnsupportedLayerError(f"{type(layer).__name__} is none of the layers that it knows")
    return step


def _chained(chain: list[Any], shape: Shape, flow: Any) -> Step:
    steps: list[Step] = []
    while chain:
        layer, *chain = chain
        # One scaling for both, which is what takes time.
        if (
            isinstance(layer, layers.ActNorm)
            and chain
            and isinstance(chain[0], layers.InvertibleConv1x1)
        ):
            convolution, *chain = chain
            steps.append(_convolved(convolution, shape, layer))
            continue
        steps.append(steps_of(layer, shape, flow))
        shape = layer.output_map_shape(shape)
    return Several(*steps)


def _convolved(layer: Any, shape: Shape, actnorm: Any = None) -> Step:
    """A 1x1 convolution ``P L D U``, after an actnorm ``S (x + b)`` if there is one.

    ``D U S = D S (S^-1 U S)``, and the matrix in brackets is triangular too.
    """
    bijector = layer.bijector()
    lower, upper, permutation = map(_array, (bijector.lower, bijector.upper, bijector.permutation))
    factors = np.diagonal(upper)
    upper = upper / factors[:, None]
    steps: list[Step] = []
    if actnorm is not None:
        shift, scales = _actnorm(actnorm)
        steps.append(Shift(_everywhere(shift, shape)))
        upper = upper * scales[None, :] / scales[:, None]
        factors = factors * scales
    channels = np.arange(int(np.prod(shape))).reshape(shape)[..., permutation.argmax(axis=1)]
    return Several(
        *steps,
        LiftChannels(upper, upper=True),
        ScaleAll(_everywhere(factors, shape)),
        LiftChannels(lower, upper=False),
        Move(channels.reshape(-1)),
    )


def _actnorm(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    bijector = layer.bijector()
    return _array(bijector.shift), np.exp(_array(bijector.log_scale))


def _everywhere(by_channel: np.ndarray, shape: Shape) -> np.ndarray:
    return np.broadcast_to(by_channel, shape).reshape(-1)


def _places(layer: Any, shape: Shape) -> np.ndarray:
    """Where the values of a layer's output come from, which only moves them."""
    numbers = np.arange(int(np.prod(shape)), dtype="float32").reshape(1, *shape)
    return _array(layer(numbers)[0]).reshape(-1).astype("int64")


def _array(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x), "float64")
