"""log|det(I + J)| of a contraction J as a power series, exact or estimated.

``log|det(I + J)| = sum over k >= 1 of (-1)^(k+1) tr(J^k) / k`` for ``|J| < 1``. The trace is a sum
over all unit vectors v of ``v' J^k v``, or the mean of it over random signs v (Hutchinson).
"""

from typing import Any

import numpy as np
from keras import ops, tree

from attnflow_keras.ops import loops
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


def truncated(linear: Any, probes: Tensor, terms: int, exact: bool) -> Tensor:
    """The first terms of the series, ``(n,)``.

    What is left out is at most ``D L^(terms+1) / ((terms+1) (1-L))`` for D dimensions and a
    Lipschitz constant L.

    Args:
        linear: the Jacobian, see ``networks.contractive``, of a batch of n.
        probes: v, ``(m, n, h, w, c)``.
        terms: number of terms.
        exact: whether the probes are all unit vectors, whose sum counts, not their mean.
    """
    count, n = probes.shape[0], ops.shape(probes)[1]
    v = ops.reshape(probes, (-1, *probes.shape[2:]))
    linear = linear.tiled(count) if count > 1 else linear
    orders = np.arange(1, terms + 1)
    weights = ops.convert_to_tensor(-((-1.0) ** orders) / orders, dtype=v.dtype)

    def step(i: Any, state: Any) -> Any:
        u, total = state
        u = linear.apply(u)
        return u, total + loops.at(weights, i) * _dot(v, u)

    _, total = loops.repeat(terms, step, (v, ops.zeros_like(v[:, 0, 0, 0])), unrolled=4)
    total = ops.reshape(total, (count, n))
    return ops.sum(total, axis=0) if exact else ops.sum(total, axis=0) / count


def unit_vectors(x: Tensor) -> Tensor:
    """All unit vectors for each map of a batch: ``(h w c, n, h, w, c)``."""
    shape = tuple(x.shape[1:])
    basis = np.eye(int(np.prod(shape))).reshape(-1, 1, *shape)
    return _for_each(basis, x)


def fixed_signs(seed: int, count: int, x: Tensor) -> Tensor:
    """The same signs for each map of a batch: ``(count, n, h, w, c)``."""
    drawn = np.random.Generator(np.random.Philox(key=seed))
    signs = 2 * drawn.integers(0, 2, (count, 1, *x.shape[1:])) - 1
    return _for_each(signs, x)


def roulette(branch: Any, x: Tensor, noise: StepNoise, certain: int, survival: float) -> Tensor:
    """An unbiased estimate ``(n,)`` whose gradient is unbiased as well (Residual Flow).

    The number of terms is random: ``certain``, and then one more with probability ``survival``
    time and again; a term that is reached with probability P counts 1/P. The gradient is that of
    ``v' J w`` with ``w = sum over k of (-1)^k J^k v / P``, so that no term is kept for it.

    Args:
        branch: the contraction, see ``networks.contractive``.
        x: where, ``(n, h, w, c)``.
        noise: the noise of a training step, from which v and the number of terms are drawn.
        certain: terms that are always there.
        survival: see above; the variance is finite if it is above the square of the Lipschitz
            constant.
    """
    v = noise.signs(ops.shape(x), x.dtype)
    # 1 - u is a multiple of 2^-23 or less: the number ends where single precision does.
    more = ops.log1p(-noise.number()) / float(np.log(survival))
    terms = certain + ops.cast(ops.floor(more), "int32")
    fixed = tree.map_structure(ops.stop_gradient, branch)
    linear = fixed.linear_at(ops.stop_gradient(x))

    def step(k: Tensor, sign: Tensor, share: Tensor, u: Tensor, w: Tensor, total: Tensor) -> Any:
        share = ops.where(k > certain, share / survival, share)
        w = w + sign * share * u
        u = linear.apply(u)
        total = total + sign * share / ops.cast(k, x.dtype) * _dot(v, u)
        return k + 1, -sign, share, u, w, total

    one = ops.ones((), dtype=x.dtype)
    start = (
        ops.ones((), dtype="int32"),
        one,
        one,
        v,
        ops.zeros_like(v),
        ops.zeros_like(v[:, 0, 0, 0]),
    )
    end = ops.while_loop(lambda k, *_: k <= terms, step, start)
    w, total = map(ops.stop_gradient, end[-2:])
    path = _dot(v, branch.linear_at(x).apply(w))
    return total + path - ops.stop_gradient(path)


def _for_each(vectors: np.ndarray, x: Tensor) -> Tensor:
    """Vectors ``(m, 1, h, w, c)`` for each map of a batch of n: ``(m, n, h, w, c)``."""
    shape = (vectors.shape[0], ops.shape(x)[0], *x.shape[1:])
    return ops.broadcast_to(ops.cast(vectors, x.dtype), shape)


def _dot(v: Tensor, u: Tensor) -> Tensor:
    return ops.sum(v * u, axis=(1, 2, 3))
