"""The steps of bits-back coding for layers that map a part of their input, given the rest."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras import layers
from attnflow_keras.coding.elementwise import (
    Elementwise,
    LogisticNormal,
    MixtureLogit,
    Scale,
    Sequence,
)
from attnflow_keras.coding.network import Network
from attnflow_keras.coding.steps import Conditional, Each, MixTokens, ScaleAll, Step
from attnflow_keras.layers.causal_values import GREY_LEVEL
from attnflow_keras.layers.partition import HalfSplit

Shape = tuple[int, int, int]


def coupling_step(layer: Any, shape: Shape, network: Network) -> Step | None:
    """That of a coupling or an attention; None for one of another kind."""
    if isinstance(layer, layers.MixtureCoupling):
        return _mixture_coupling(layer, shape, network)
    if isinstance(layer, layers.ITransAttention):
        return _token_mixing(layer, shape, network)
    if isinstance(layer, layers.AffineCoupling | layers.IMapAttention):
        return _scaling(layer, shape, network)
    return None


def transformer_step(layer: Any, shape: Shape, network: Network) -> Step:
    """That of a :class:`TransformerCoupling`, whose parameters are in an order of their own."""
    changed = np.zeros(int(np.prod(shape)), bool)
    changed[layer.changed_places] = True
    # From the order of the parameters to that of the places.
    order = np.argsort(layer.changed_places)
    affine = layer.values.affine

    def parameters(x: Any) -> tuple[Any, ...]:
        bijector = layer.bijectors_for(x)[0]
        return _of_scale(bijector) if affine else _of_mixture(bijector)

    def make(*given: np.ndarray) -> Step:
        given = tuple(part[..., order] for part in given)
        if affine:
            return Each(_scale(*given))
        mixture = _mixture(*given, bins=layer.values.bins)
        return Each(Sequence(mixture, LogisticNormal()))

    return Conditional(changed, network.compiled(parameters), make)


def _mixture_coupling(layer: Any, shape: Shape, network: Network) -> Step:
    def parameters(x: Any) -> tuple[Any, ...]:
        bijector = layer.transformed_bijector(layer.partition(shape).split(x)[0], None)
        return (*_of_mixture(bijector), *_of_scale(bijector))

    def make(*given: np.ndarray) -> Step:
        mixture = _mixture(*given[:3], bins=layer.bins)
        return Each(Sequence(mixture, _scale(*given[3:])))

    return Conditional(_changed(layer, shape), network.compiled(parameters), make)


def _scaling(layer: Any, shape: Shape, network: Network) -> Step:
    changed = _changed(layer, shape)
    of_all = not isinstance(layer.partition(shape), HalfSplit)  # with a mask

    def parameters(x: Any) -> tuple[Any, ...]:
        bijector = layer.transformed_bijector(layer.partition(shape).split(x)[0], None)
        return _of_scale(bijector)

    def make(*given: np.ndarray) -> Step:
        flat = (part.reshape(len(part), -1) for part in given)
        return Each(_scale(*(part[:, changed] if of_all else part for part in flat)))

    others = layer.identity_bijector(shape)
    if others is not None:
        log_scale = np.asarray(ops.convert_to_numpy(others.log_scale), "float64")
        factors = np.exp(np.broadcast_to(log_scale, (1, *shape)).reshape(-1))
        others = ScaleAll(factors[~changed])
    return Conditional(changed, network.compiled(parameters), make, others)


def _token_mixing(layer: Any, shape: Shape, network: Network) -> Step:
    changed = _changed(layer, shape)
    rows, columns = layer.grid
    height, width, channels = shape
    places = np.arange(int(np.prod(shape)))
    cells = places.reshape(rows, height // rows, columns, width // columns, channels)
    cells = cells.transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)
    numbers = np.cumsum(changed) - 1  # among the values that change
    of_columns = layer.heads_of_columns(shape)
    heads = [numbers[cells[:, of_columns == head]] for head in range(of_columns.max() + 1)]

    def parameters(x: Any) -> tuple[Any, ...]:
        return (layer.transformed_bijector(layer.partition(shape).split(x)[0], None).matrix,)

    return Conditional(
        changed, network.compiled(parameters), lambda matrix: MixTokens(matrix, heads)
    )


def _changed(layer: Any, shape: Shape) -> np.ndarray:
    """Which values a coupling transforms, bool ``(values,)``."""
    partition = layer.partition(shape)
    if isinstance(partition, HalfSplit):
        first = np.arange(shape[-1]) < partition.transformed_channels
        return np.broadcast_to(first, shape).reshape(-1)
    return partition.mask.reshape(-1) == 0


def _of_scale(bijector: Any) -> tuple[Any, Any]:
    """Shift and log-scale of the same shape."""
    log_scale = bijector.log_scale
    shift = ops.zeros_like(log_scale)
    return (shift if bijector.shift is None else shift + bijector.shift), log_scale


def _of_mixture(bijector: Any) -> tuple[Any, ...]:
    return bijector.log_weights, bijector.means, bijector.log_scales


def _scale(shift: np.ndarray, log_scale: np.ndarray) -> Elementwise:
    return Scale(shift.reshape(-1), np.exp(log_scale).reshape(-1))


def _mixture(*given: np.ndarray, bins: tuple[int, ...]) -> Elementwise:
    """Of parameters ``(n, h, w, k, c)``."""
    rows = (np.moveaxis(part, -2, 0) for part in given)
    log_weights, means, log_scales = (part.reshape(len(part), -1) for part in rows)
    ends = [b * GREY_LEVEL - 0.5 for b in bins]
    return MixtureLogit(log_weights, means, log_scales, ends, GREY_LEVEL)
