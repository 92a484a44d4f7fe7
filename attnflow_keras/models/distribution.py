"""A flow as a TFP distribution."""

import math
from typing import Any

from keras import ops

from attnflow_keras._tfp import tfb, tfd
from attnflow_keras.bijectors import FlowBijector

Tensor = Any


class _Decode(FlowBijector):
    """Flat standard-normal latents ``(D,)`` to float images ``(h, w, c)``."""

    def __init__(self, flow: Any, features: Any) -> None:
        self.flow = flow
        self.features = features
        super().__init__(name="decode", event_ndims=1, inverse_event_ndims=3)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        images = self._images(x)
        return images, -self.inverse_and_log_det(images)[1]

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        latents, log_det = self.flow.traced_encode(y, self.features)
        flat = [ops.reshape(z, (-1, math.prod(z.shape[1:]))) for z in latents]
        return ops.concatenate(flat, axis=-1), log_det

    def _forward(self, x: Tensor) -> Tensor:
        return self._images(x)

    def _images(self, x: Tensor) -> Tensor:
        latents, start = [], 0
        for shape in self.flow.latent_shapes:
            size = math.prod(shape)
            latents.append(ops.reshape(x[:, start : start + size], (-1, *shape)))
            start += size
        return self.flow.traced_decode(tuple(latents), self.features)

    def _forward_event_shape(self, shape: Any) -> Any:
        return shape.__class__(self.flow.float_shape)

    def _inverse_event_shape(self, shape: Any) -> Any:
        return shape.__class__([self.flow.float_dims])

    def _forward_event_shape_tensor(self, shape: Any) -> Any:
        return ops.convert_to_tensor(self.flow.float_shape, dtype="int32")

    def _inverse_event_shape_tensor(self, shape: Any) -> Any:
        return ops.convert_to_tensor([self.flow.float_dims], dtype="int32")


def flow_distribution(flow: Any, features: Any) -> Any:
    """Distribution of float images under a flow; ``sample(n)`` and ``log_prob`` of batches."""
    zero = ops.zeros((flow.float_dims,), dtype=flow.variable_dtype)
    base = tfd.Independent(tfd.Normal(zero, ops.ones_like(zero)), reinterpreted_batch_ndims=1)
    bijector: tfb.Bijector = _Decode(flow, features)
    return tfd.TransformedDistribution(base, bijector, name=flow.name)
