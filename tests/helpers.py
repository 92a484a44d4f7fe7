"""What the tests of invertible maps share."""

import numpy as np
import tensorflow as tf


def perturb(layer, scale=0.3, seed=0):
    """Move every trainable weight away from its start, where many terms vanish."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(np.asarray(variable) + scale * rng.normal(size=variable.shape))
    return layer


def batch(shape, n=2, seed=1, dtype="float64"):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype)


def jacobian(function, x):
    """The Jacobian ``(n, d, d)`` of ``function`` at each sample of ``x``, by autodiff."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    size = int(np.prod(x.shape[1:]))
    return tape.batch_jacobian(y, x).numpy().reshape(len(x), size, size)


def jacobian_log_det(function, x):
    """log|det| of the Jacobian of ``function`` at each sample of ``x``, by autodiff."""
    return np.linalg.slogdet(jacobian(function, x))[1]


def fresh(x):
    """A tensor that TFP's cache has never seen."""
    return tf.convert_to_tensor(np.array(x))
