"""Standardize channel after channel, each given those before it."""

from collections.abc import Callable
from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector
from attnflow_keras.ops import loops
from attnflow_keras.ops.numerics import sum_event

Tensor = Any


class ChannelAutoregressive(FlowBijector):
    """``eps_t = (z_t - mean_t) exp(-log_sd_t)``, channel t given the channels before it.

    Forward, mean and log-sd of all channels come from one call; the inverse is a loop over
    channels.

    >>> standardize = bijectors.ChannelAutoregressive(
    ...     all_at_once=lambda z: (0 * z + 1, 0 * z),  # mean 1, log-sd 0
    ...     start=lambda z: (),
    ...     step=lambda before, state: (0 * before + 1, 0 * before, state),
    ... )
    >>> eps, log_det = standardize.forward_and_log_det(np.ones((1, 2, 2, 3), "float32"))
    >>> float(np.abs(eps).max())
    0.0

    Args:
        all_at_once: from z ``(n, h, w, c)`` to mean and log-sd, each ``(n, h, w, c)``, where
            channel t depends on the channels before it only.
        start: from any ``(n, h, w, 1)`` tensor to the state before the first channel.
        step: from the channel before ``(n, h, w, 1)`` (zeros at first) and the state to mean,
            log-sd ``(n, h, w, 1)`` and the next state, a tuple of tensors.
        name: name of the bijector.
    """

    def __init__(
        self,
        all_at_once: Callable[[Tensor], tuple[Tensor, Tensor]],
        start: Callable[[Tensor], tuple[Tensor, ...]],
        step: Callable[[Tensor, Any], tuple[Tensor, Tensor, tuple[Tensor, ...]]],
        name: str = "channel_autoregressive",
    ) -> None:
        self.all_at_once = all_at_once
        self.start = start
        self.step = step
        super().__init__(name=name)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_sd = self.all_at_once(x)
        return (x - mean) * ops.exp(-log_sd), -sum_event(log_sd)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        channels = y.shape[-1]
        eps = ops.expand_dims(ops.transpose(y, (3, 0, 1, 2)), -1)

        def one(i: Any, state: Any) -> Any:
            z, done, log_det, *inner = state
            mean, log_sd, inner = self.step(z, tuple(inner))
            z = mean + loops.at(eps, i) * ops.exp(log_sd)
            return z, loops.put(done, i, z), log_det + sum_event(log_sd), *inner

        zero = ops.zeros_like(eps[0])
        state = (zero, ops.zeros_like(eps), sum_event(zero), *self.start(zero))
        _, done, log_det, *_ = loops.repeat(channels, one, state)
        return ops.transpose(done[..., 0], (1, 2, 3, 0)), log_det
