"""The one base of couplings and attentions."""

from typing import Any

import keras

from attnflow_keras.bijectors import FlowBijector
from attnflow_keras.layers.conditioner import ConditionerLayer
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.layers.partition import HalfSplit, MaskSplit
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.numerics import check_input_bound, clipped
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


class Coupling(FlowLayer):
    """Leave one part of a map, the identity part, and transform the rest, given that part.

    A subclass implements :meth:`partition` (a half split or a mask) and
    :meth:`transformed_bijector`; it may also scale the identity part by
    :meth:`identity_bijector`, whose parameters must not depend on the input. The conditioner runs
    once in each call, in either direction.

    >>> isinstance(layers.IMapAttention(), layers.Coupling)
    True
    """

    def partition(self, shape: tuple[int, int, int]) -> HalfSplit | MaskSplit:
        """How maps of this shape (without the batch) are divided."""
        raise NotImplementedError(f"{type(self).__name__} does not define its partition")

    def transformed_bijector(
        self, identity: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> FlowBijector:
        """The map of the transformed part, made from the identity part and the condition."""
        raise NotImplementedError(f"{type(self).__name__} does not define its transformed_bijector")

    def identity_bijector(self, shape: tuple[int, int, int]) -> FlowBijector | None:
        """The map of the identity part, or None to leave it as it is."""
        return None

    def bijectors_for(self, x: Tensor, condition: Tensor | None = None) -> list[FlowBijector]:
        shape = tuple(x.shape[1:])
        identity, _ = self.partition(shape).split(x)
        identity_bijector = self.identity_bijector(shape)
        transformed_bijector = self.transformed_bijector(identity, condition)
        return (
            [transformed_bijector]
            if identity_bijector is None
            else [identity_bijector, transformed_bijector]
        )

    def transform(
        self,
        x: Tensor,
        condition: Tensor | None,
        inverse: bool,
        noise: StepNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        shape = tuple(x.shape[1:])
        partition = self.partition(shape)
        identity, transformed = partition.split(x)
        identity_bijector = self.identity_bijector(shape)
        if inverse and identity_bijector is not None:
            identity, identity_log_det = identity_bijector.inverse_and_log_det(identity)
        bijector = self.transformed_bijector(identity, condition, noise)
        if inverse:
            transformed, log_det = bijector.inverse_and_log_det(transformed)
        else:
            transformed, log_det = bijector.forward_and_log_det(transformed)
            if identity_bijector is not None:
                identity, identity_log_det = identity_bijector.forward_and_log_det(identity)
        if identity_bijector is not None:
            log_det = log_det + identity_log_det
        return partition.join(identity, transformed), log_det


class NetworkCoupling(ConditionerLayer, Coupling):
    """A coupling on channel halves whose parameters come from a conditioner network.

    >>> layer = layers.AffineCoupling(networks.GatedConvNet(width=8), input_bound=5.0)
    >>> isinstance(layer, layers.NetworkCoupling)
    True

    Args:
        conditioner: see :class:`ConditionerLayer`.
        input_bound: the network's input is clipped at +-input_bound, so that its output is not
            extreme for values far from the training data; None for no bound, or for the flow's,
            see :class:`Flow`.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self, conditioner: Conditioner, input_bound: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(conditioner, **kwargs)
        self.input_bound = check_input_bound(input_bound)

    def partition(self, shape: tuple[int, int, int]) -> HalfSplit:
        return HalfSplit(shape[-1])

    def parameters_per_element(self) -> int:
        """How many conditioner outputs each transformed element needs."""
        raise NotImplementedError(f"{type(self).__name__} defines no parameters_per_element")

    def build_map(self, shape: tuple[int, int, int]) -> None:
        partition = self.partition(shape)
        inputs = (*shape[:2], partition.identity_channels + self.condition_channels)
        self.build_conditioner(
            inputs, self.parameters_per_element() * partition.transformed_channels
        )

    def conditioner_input(self, x: Tensor, condition: Tensor | None) -> Tensor:
        identity = self.partition(tuple(x.shape[1:])).split(x)[0]
        return _joined(clipped(identity, self.input_bound), condition)

    def run_conditioner(
        self, identity: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """The network's output in the layer's variable dtype, ``(n, h, w, out_channels)``."""
        return self.conditioner_output(
            _joined(clipped(identity, self.input_bound), condition), noise
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config if self.input_bound is None else {**config, "input_bound": self.input_bound}


def _joined(identity: Tensor, condition: Tensor | None) -> Tensor:
    return identity if condition is None else keras.ops.concatenate([identity, condition], axis=-1)
