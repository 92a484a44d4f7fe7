"""Several replicas under ``tf.distribute``: one training step equals that of one device."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import keras
from keras import ops

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


# Each replica is traced in a thread of its own, which starts without a value.
_share: ContextVar[Share | None] = ContextVar("share", default=None)


@contextlib.contextmanager
def shared_batch(data: Any) -> Iterator[None]:
    """Within the block this replica knows its share of the batch, with images first in ``data``.

    To be opened before the model is called: replicas wait here for one another, and waiting
    inside of the call would mix the losses that their layers add.
    """
    token = _share.set(_find_share(data))
    try:
        yield
    finally:
        _share.reset(token)


class SharedSteps:
    """Mixin for models whose steps know the share of their replica; before ``keras.Model``."""

    def train_step(self, *args: Any) -> Any:
        with shared_batch(args[-1]):
            return super().train_step(*args)  # type: ignore[misc]

    def test_step(self, *args: Any) -> Any:
        with shared_batch(args[-1]):
            return super().test_step(*args)  # type: ignore[misc]

    def predict_step(self, *args: Any) -> Any:
        with shared_batch(args[-1]):
            return super().predict_step(*args)  # type: ignore[misc]


def scaled(loss: Tensor) -> Tensor:
    """This replica's part of a loss that is a mean over its images.

    Keras adds up the replicas' gradients, and takes the mean of their losses, times the number of
    replicas and weighted by images. Both are then those of one device with the whole batch.
    """
    replicas = _count()
    if replicas == 1:
        return loss
    share = _share.get()
    if share is None:
        return loss / replicas
    # The mean of no image is NaN.
    loss = ops.where(ops.greater(share.images, 0), loss, ops.zeros_like(loss))
    reported = loss / replicas
    weight = ops.cast(share.images, loss.dtype) / ops.cast(share.total, loss.dtype)
    return weight * loss + ops.stop_gradient(reported - weight * loss)


def rows_of(draw: Any, shape: tuple[Any, ...]) -> Tensor:
    """What ``draw`` gives for the rows of this replica out of those of the whole batch.

    Args:
        draw: from a shape ``(n, ...)`` to a tensor of it.
        shape: shape of this replica's rows.
    """
    share = _share.get()
    if share is None:
        return draw(shape)
    return draw((share.total, *shape[1:]))[share.first : share.first + share.images]


def _find_share(data: Any) -> Share | None:
    if _count() == 1:
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


def _count() -> int:
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
