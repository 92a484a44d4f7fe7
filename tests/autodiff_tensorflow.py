"""Derivatives for tests, by TensorFlow; ``autodiff_jax`` has the same functions."""

import numpy as np
import tensorflow as tf


def compiled(function):
    """``function`` of tensors as a graph, where each call of it would be many operations."""
    return tf.function(function, reduce_retracing=True)


def fresh(x):
    """A tensor that TFP's cache has never seen."""
    return tf.convert_to_tensor(np.array(x))


def jacobian(function, x, condition=None):
    """The Jacobian ``(n, d, d)`` of ``function`` at each sample of ``x``, by autodiff.

    The function takes the samples and, if there is one, the condition, one for each of them.
    """
    x = np.asarray(x)
    size = int(np.prod(x.shape[1:]))
    # Of each sample as many copies as it has values, each for one row: a single pass backwards
    # takes less time than to trace the vectorized one of ``batch_jacobian``.
    copies = tf.constant(np.repeat(x, size, axis=0))
    given = tf.nest.map_structure(lambda part: np.repeat(part, size, axis=0), condition)
    with tf.GradientTape() as tape:
        tape.watch(copies)
        y = function(copies) if condition is None else function(copies, given)
        total = tf.reduce_sum(tf.linalg.diag_part(tf.reshape(y, (len(x), size, size))))
    return tape.gradient(total, copies).numpy().reshape(len(x), size, size)


def gradient(function, x):
    """The gradient of a function with one value, with respect to an array or a list of arrays."""
    x = tf.nest.map_structure(tf.convert_to_tensor, x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tf.nest.map_structure(np.asarray, tape.gradient(value, x))


def weight_gradients(layer, function):
    """Paths and gradients of trainable weights, of a function with one value; None without way."""
    with tf.GradientTape() as tape:
        value = function()
    found = tape.gradient(value, [v.value for v in layer.trainable_variables])
    return [
        (v.path, None if g is None else tf.convert_to_tensor(g).numpy())
        for v, g in zip(layer.trainable_variables, found, strict=True)
    ]
