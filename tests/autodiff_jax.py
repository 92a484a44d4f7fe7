"""Derivatives for tests, by JAX; ``autodiff_tensorflow`` has the same functions.

Everything is compiled: operation by operation JAX compiles each.
"""

import jax
import jax.numpy as jnp
import keras
import numpy as np

compiled = jax.jit


def fresh(x):
    """A tensor that TFP's cache has never seen."""
    return jnp.array(np.array(x))


def jacobian(function, x, condition=None):
    """The Jacobian ``(n, d, d)`` of ``function`` at each sample of ``x``, by autodiff.

    The function takes the samples and, if there is one, the condition, one for each of them.
    """
    x = jnp.asarray(x)
    given = () if condition is None else (condition,)
    size = int(np.prod(x.shape[1:]))

    @jax.jit
    def rows(x):
        y, back = jax.vjp(lambda v: function(v, *given).reshape(len(x), size), x)
        # The samples of a batch do not depend on one another.
        chosen = jnp.broadcast_to(jnp.eye(size, dtype=y.dtype)[:, None], (size, len(x), size))
        return jax.vmap(back)(chosen)[0]

    return np.moveaxis(np.asarray(rows(x)).reshape(size, len(x), size), 0, 1)


def gradient(function, x):
    """The gradient of a function with one value, with respect to an array or a list of arrays."""
    x = jax.tree.map(jnp.asarray, x)
    return jax.tree.map(np.asarray, jax.jit(jax.grad(function))(x))


def weight_gradients(layer, function):
    """Paths and gradients of trainable weights, of a function with one value; None without way."""
    variables = layer.trainable_variables

    def value(values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function()

    values = [v.value for v in variables]
    traced = jax.make_jaxpr(value)(values).jaxpr
    used = {id(v) for step in traced.eqns for v in step.invars}
    found = jax.jit(jax.grad(value))(values)
    return [
        (v.path, np.asarray(g) if id(given) in used else None)
        for v, g, given in zip(variables, found, traced.invars, strict=True)
    ]
