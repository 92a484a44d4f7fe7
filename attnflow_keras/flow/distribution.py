"""A flow as a TFP distribution."""

import math
from typing import Any

from keras import ops, tree

from attnflow_keras.backend import tfb, tfd
from attnflow_keras.bijectors import FlowBijector
from attnflow_keras.core.wording import counted
from attnflow_keras.flow import inputs as checks

Tensor = Any


class _Decode(FlowBijector):
    """Flat standard-normal latents ``(..., D)`` to float images ``(..., h, w, c)``."""

    def __init__(self, flow: Any, features: Any) -> None:
        self.flow = flow
        self.features = features
        super().__init__(name="decode", event_ndims=1, inverse_event_ndims=3)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        images = self._images(x)
        return images, -self.inverse_and_log_det(images)[1]

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        batch = tuple(ops.shape(y))[:-3]
        images = ops.reshape(y, (-1, *self.flow.float_shape))
        latents, log_det = self.flow.traced_encode(images, self._features_for(images))
        flat = [ops.reshape(z, (-1, math.prod(z.shape[1:]))) for z in latents]
        joined = ops.concatenate(flat, axis=-1)
        return ops.reshape(joined, (*batch, self.flow.float_dims)), ops.reshape(log_det, batch)

    def _forward(self, x: Tensor) -> Tensor:
        return self._images(x)

    def _images(self, x: Tensor) -> Tensor:
        batch = tuple(ops.shape(x))[:-1]
        rows = ops.reshape(x, (-1, self.flow.float_dims))
        latents, start = [], 0
        for shape in self.flow.latent_shapes:
            size = math.prod(shape)
            latents.append(ops.reshape(rows[:, start : start + size], (-1, *shape)))
            start += size
        images = self.flow.traced_decode(tuple(latents), self._features_for(rows))
        return ops.reshape(images, (*batch, *self.flow.float_shape))

    def _features_for(self, x: Tensor) -> Any:
        if self.features is None:
            return None
        given, count = tree.flatten(self.features)[0].shape[0], x.shape[0]
        if given == 1:
            shape = ops.shape(x)[:1]
            return tree.map_structure(
                lambda part: ops.repeat(part, shape[0], axis=0), self.features
            )
        if None not in (given, count) and given != count:
            raise ValueError(
                f"the condition holds {counted(given, 'item')}, one per image; got a batch of "
                f"{counted(count, 'image')}"
            )
        return self.features

    def _forward_event_shape(self, shape: Any) -> Any:
        return shape.__class__(self.flow.float_shape)

    def _inverse_event_shape(self, shape: Any) -> Any:
        return shape.__class__([self.flow.float_dims])

    def _forward_event_shape_tensor(self, shape: Any) -> Any:
        return ops.convert_to_tensor(self.flow.float_shape, dtype="int32")

    def _inverse_event_shape_tensor(self, shape: Any) -> Any:
        return ops.convert_to_tensor([self.flow.float_dims], dtype="int32")


class _FlowDistribution(tfd.TransformedDistribution):
    """The transformed distribution, with the checks that ``flow.log_prob`` has."""

    def __init__(self, flow: Any, features: Any) -> None:
        # What TFP makes copies with.
        parameters = {"flow": flow, "features": features}
        zero = ops.zeros((flow.float_dims,), dtype=flow.variable_dtype)
        base = tfd.Independent(tfd.Normal(zero, ops.ones_like(zero)), reinterpreted_batch_ndims=1)
        bijector: tfb.Bijector = _Decode(flow, features)
        self._flow_shape = tuple(flow.float_shape)
        super().__init__(base, bijector, parameters=parameters, name=flow.name)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        return {}  # neither a flow nor features have a batch of distributions

    def log_prob(self, value: Any, name: str = "log_prob", **kwargs: Any) -> Tensor:
        return super().log_prob(self._checked(value), name=name, **kwargs)

    def prob(self, value: Any, name: str = "prob", **kwargs: Any) -> Tensor:
        return super().prob(self._checked(value), name=name, **kwargs)

    def _log_prob(self, value: Tensor, **kwargs: Any) -> Tensor:
        # TFP's own decodes the latents again, and takes the log-determinant of what that gives.
        latents, log_det = self.bijector.inverse_and_log_det(value)
        return self.distribution.log_prob(latents) + log_det

    def _checked(self, value: Any) -> Any:
        value = value if hasattr(value, "dtype") else ops.convert_to_tensor(value)
        if checks.is_uint8(value):
            raise ValueError(
                "value must be float images, because this is a density; got uint8. Convert them "
                "with flow.dequantize(images), or use flow.log_prob(images)"
            )
        sides = ", ".join(map(str, self._flow_shape))
        if tuple(value.shape)[-3:] != self._flow_shape:
            raise ValueError(f"value must have shape (..., {sides}); got {tuple(value.shape)}")
        checks.check_finite("value", value, checks.FLOAT_LIMIT, images=True)
        return value


def flow_distribution(flow: Any, features: Any) -> Any:
    """Distribution of float images ``(..., h, w, c)`` under a flow."""
    return _FlowDistribution(flow, features)
