"""Several replicas under ``tf.distribute``: one training step equals that of one device."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from attnflow_keras import backend

Tensor = Any


class Share(NamedTuple):
    """A replica's part of the batch that all replicas work on together.

    Attributes:
        first: images of the batch before those of this replica.
        images: images of this replica; the last batch of an epoch may leave it none.
        total: images of the whole batch.
    """

    first: Tensor
    images: Tensor
    total: Tensor


class SharedSteps:
    """Mixin for models whose inputs hold the share of their replica; before ``keras.Model``.

    Where there are several replicas, inputs are a dict in each step, with a ``"share"``.
    """

    def with_share(self, x: Any, share: Share) -> dict[str, Any]:
        """The inputs of a step, images first, as a dict with the share."""
        return {**x, "share": share}

    def train_step(self, *args: Any) -> Any:
        return super().train_step(*self._sharing(args))  # type: ignore[misc]

    def test_step(self, *args: Any) -> Any:
        return super().test_step(*self._sharing(args))  # type: ignore[misc]

    def predict_step(self, *args: Any) -> Any:
        return super().predict_step(*self._sharing(args))  # type: ignore[misc]

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: these models are built.

        Keras would use up a batch for it, averaged over the replicas, which fails where their
        shares differ.
        """

    def _sharing(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        # Before the model is called: replicas wait here for one another, and waiting inside of
        # the call would mix the losses that their layers add.
        share = _find_share(args[-1])
        if share is None:
            return args
        x, y, weight = keras.utils.unpack_x_y_sample_weight(args[-1])
        data = keras.utils.pack_x_y_sample_weight(self.with_share(x, share), y, weight)
        return (*args[:-1], data)


def scaled(loss: Tensor, share: Share | None) -> Tensor:
    """This replica's part of a loss that is a mean over its images.

    Keras adds up the replicas' gradients, and takes the mean of their losses, times the number of
    replicas and weighted by images. Both are then those of one device with the whole batch.
    """
    replicas = backend.replicas()
    if replicas == 1:
        return loss
    if share is None:
        return loss / replicas
    # The mean of no image is NaN.
    loss = ops.where(ops.greater(share.images, 0), loss, ops.zeros_like(loss))
    reported = loss / replicas
    weight = ops.cast(share.images, loss.dtype) / ops.cast(share.total, loss.dtype)
    return weight * loss + ops.stop_gradient(reported - weight * loss)


def rows_of(
    draw: Callable[[tuple[Any, ...]], Tensor], shape: tuple[Any, ...], share: Share | None
) -> Tensor:
    """What ``draw`` gives for the rows of this replica out of those of the whole batch.

    Args:
        draw: from a shape ``(n, ...)`` to a tensor of it.
        shape: shape of this replica's rows.
        share: its part of the batch; None for all of it.
    """
    if share is None:
        return draw(shape)
    return draw((share.total, *shape[1:]))[share.first : share.first + share.images]


def _find_share(data: Any) -> Share | None:
    if backend.replicas() == 1:
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:
        return None
    images = tf.shape(next(part for part in keras.tree.flatten(data) if part is not None))[0]
    number = context.replica_id_in_sync_group
    counts = context.all_reduce(
        # Floats, because collectives of integers are not there on all devices.
        tf.distribute.ReduceOp.SUM,
        tf.one_hot(number, context.num_replicas_in_sync) * tf.cast(images, tf.float32),
    )
    counts = tf.cast(tf.round(counts), tf.int32)
    before = tf.range(context.num_replicas_in_sync) < number
    first = tf.reduce_sum(tf.where(before, counts, 0))
    return Share(first, images, tf.reduce_sum(counts))
