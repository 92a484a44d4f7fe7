"""Variational dequantization: noise whose distribution follows from the image."""

from typing import Any

import keras
from keras import ops

from attnflow_keras import bijectors, layers
from attnflow_keras.core.checks import check_integer
from attnflow_keras.networks import GatedAttentionNet, GatedConvNet
from attnflow_keras.ops.numerics import softplus, sum_event
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class Dequantizer(keras.layers.Layer):
    """A flow from uniform to dequantization noise, given the image (Flow++, arXiv:1902.00275).

    ``u = sigmoid(f(logit(u_0) | image))`` with mixture couplings f on the squeezed map, whose
    networks see features of the image.

    Args:
        width: hidden channels of the couplings' networks, and of the features.
        couplings: number of couplings.
        blocks: blocks of each coupling's network.
        heads: heads of their attention.
        components: logistics of a mixture.
        dropout: rate in training.
        input_bound: see :class:`Flow`.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 96,
        couplings: int = 4,
        blocks: int = 2,
        heads: int = 4,
        components: int = 32,
        dropout: float = 0.2,
        input_bound: float | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("autocast", None)
        super().__init__(autocast=False, **kwargs)
        check_integer("couplings", couplings)
        policy = self.dtype_policy
        self.context = GatedConvNet(width, blocks=3, out_channels=width, dtype=policy)
        parts: dict[str, layers.FlowLayer] = {}
        for i in range(1, couplings + 1):
            network = GatedAttentionNet(width, blocks, heads, dropout, out_scale=0.1, dtype=policy)
            parts[f"coupling_{i}"] = layers.MixtureCoupling(
                network,
                components,
                input_bound=input_bound,
                condition_channels=4 * width,
                dtype=policy,
            )
            parts[f"flip_{i}"] = layers.FlipHalves(dtype=policy)
        self.chain = layers.Chain(parts, condition_channels=4 * width, dtype=policy)

    def build(self, input_shape: Any) -> None:
        """Create the weights for images ``(n, h, w, c)``."""
        height, width, channels = tuple(input_shape)[1:]
        self.context.build((None, height, width, channels))
        self.chain.build((None, height // 2, width // 2, 4 * channels))
        self.built = True

    def call(
        self, image: Tensor, u: Tensor, noise: StepNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        """The noise, and the log-determinant of the map from uniform noise to it.

        Args:
            image: the middle of each grey level as a float, ``(n, h, w, c)``.
            u: uniform noise in (0, 1) of that shape.
            noise: of a training step.
        """
        squeeze = bijectors.Squeeze()
        features, _ = squeeze.forward_and_log_det(
            ops.cast(self.context(image), self.variable_dtype)
        )
        u = ops.cast(u, self.variable_dtype)
        log_u, log_rest = ops.log(u), ops.log1p(-u)
        raw, _ = squeeze.forward_and_log_det(log_u - log_rest)
        takes = noise is not None and self.chain.takes_noise
        given: dict[str, Any] = {"noise": noise} if takes else {}
        raw, log_det = self.chain(raw, condition=features, **given)
        raw, _ = squeeze.inverse_and_log_det(raw)
        # d sigmoid / d raw, and that of the logit the other way.
        slope = -softplus(raw) - softplus(-raw) - log_u - log_rest
        return ops.sigmoid(raw), log_det + sum_event(slope)
