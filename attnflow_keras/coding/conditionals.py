"""The distribution of each value of an image given those before it, under a causal flow."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors.logistic_to_normal import ROOT, B
from attnflow_keras.layers.causal_inverse import begin, step

# Grey levels of a value.
LEVELS = 256


def is_causal(flow: Any) -> bool:
    """Whether a flow gives the probability of each grey level in turn."""
    return getattr(flow, "value_order", None) is not None


def causal_layer(flow: Any) -> Any:
    """The layer of a flow that is one causal map of an image's values.

    Raises:
        ValueError: a flow of another kind, or one that takes a condition.
    """
    if not is_causal(flow):
        raise ValueError(
            "flow must be a causal flow of one block without padding, which gives the probability "
            "of each grey level in turn, such as attnflow-causal-mnist; got "
            f"{type(flow).__name__}"
        )
    if flow.conditional:
        raise ValueError(f"flow must take no condition; got {flow.name!r}, which needs one")
    return flow.levels()[0][0].steps()[0]


class Networks:
    """What a causal layer computes for one value, as a compiled function.

    Args:
        flow: see :func:`causal_layer`.
    """

    def __init__(self, flow: Any) -> None:
        self.layer = causal_layer(flow)
        self._flow = flow
        self._compiled: Any = None

    def parameters(self, *inputs: Any) -> tuple[Any, Any]:
        """Parameters of the distribution of one value, and the hidden layers after it.

        Args:
            *inputs: what the token's parameters start from, the hidden layers, the token's known
                values, and the value's number as an array of one integer.
        """
        if backend.runs_eagerly():
            return self._parameters(*inputs)
        if self._compiled is None:
            self._compiled = backend.compile_function(
                self._parameters, inputs, 1, False, self._flow
            )
        return self._compiled(*inputs)

    def _parameters(self, started: Any, hidden: Any, known: Any, i: Any) -> tuple[Any, Any]:
        layer = self.layer
        known = layer.values.seen(known)
        kernels = layer.head.by_value() if layer.head.group else ()
        (raw, predicted), hidden = step(layer, started, kernels, i[0], known, hidden)
        if predicted is not None:
            predicted = tuple(ops.expand_dims(p, 1) for p in predicted)
        given = (ops.expand_dims(ops.expand_dims(raw, 1), 1), predicted)
        bijector = layer.values.bijectors(given, few=True)[0]
        if layer.values.affine:
            return (bijector.shift, bijector.log_scale), hidden
        return (bijector.log_weights, bijector.means, bijector.log_scales), hidden


class Conditionals:
    """Conditional distributions of the values of n images, one value after the other.

    The networks see the grey levels that are known so far at the centre of their bins, as in
    :func:`~attnflow_keras.core.noise.dequantize` with u = 1/2.

    Args:
        networks: those of the flow.
        n: number of images.
    """

    def __init__(self, networks: Networks, n: int) -> None:
        self._networks = networks
        self._layer = layer = networks.layer
        self.tokens, self.values = layer.tokens.tokens, layer.tokens.values
        # What lies outside is 0 for the networks, which is what they see of level 128 too.
        self._known = np.zeros((n, self.tokens + 1, self.values), layer.variable_dtype)
        self._positions = ops.convert_to_tensor(layer.positions)
        like = ops.zeros((n, layer.trunk.width), dtype=layer.trunk.compute_dtype)
        self._cache: Any = layer.trunk.empty_cache(like, self.tokens)
        self._token = -1

    def begin(self, t: int) -> None:
        """Go to token t; all before it must be known."""
        layer, n = self._layer, len(self._known)
        known = ops.convert_to_tensor(self._known[:, layer.tokens.before[t]])
        seen = ops.reshape(layer.values.seen(known), (n, -1))
        started, self._cache = begin(layer, self._positions, t, seen, None, self._cache)
        self._started = started if started[1] is not None else started[:1]
        like = ops.convert_to_tensor(self._known[:, t])
        self._hidden: Any = layer.head.empty(like) if layer.head.group else ()
        self._token = t

    def distribution(self, i: int) -> "Mixture | Normal":
        """That of value i of the token; all before it must be known."""
        known = ops.convert_to_tensor(self._known[:, self._token])
        value = ops.convert_to_tensor(np.array([i], "int32"))
        inputs = (self._started, self._hidden, known, value)
        parts, self._hidden = self._networks.parameters(*inputs)
        first, second, *others = (_rows(part) for part in parts)
        values = self._layer.values
        if values.affine:
            return Normal(first[0], second[0])
        return Mixture(first, second, others[0], values.bins)

    def tell(self, i: int, levels: np.ndarray) -> None:
        """Make the grey levels ``(n,)`` of value i known."""
        centres = (levels.astype("float32") + np.float32(0.5)) / np.float32(LEVELS)
        self._known[:, self._token, i] = centres - np.float32(0.5)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these of the n images, perhaps some of them several times.

        Between two tokens: before :meth:`begin`.

        Args:
            rows: numbers of the images, ``(n,)``.
        """
        self._known = self._known[rows]
        self._cache = tuple(ops.take(part, rows, axis=1) for part in self._cache)


class Mixture:
    """CDF of a value that the flow maps by a mixture, in float64: ``Phi(g(logit F(x)))``.

    F is the mixture's CDF and g the map from the logistic to the normal distribution, which is
    close to the exact one but not the same; this is the density that scores have.

    >>> from attnflow_keras.coding.conditionals import Mixture
    >>> one = np.zeros((1, 2))
    >>> Mixture(one, one, one, ()).cdf(np.array([128, 128]))
    array([0.5, 0.5])

    Args:
        log_weights: ``(k + b, n)``, of k logistics and then of b uniform densities.
        means: ``(k, n)``, of float images.
        log_scales: ``(k, n)``.
        bins: b grey levels, on which the uniform densities are.
    """

    def __init__(
        self,
        log_weights: np.ndarray,
        means: np.ndarray,
        log_scales: np.ndarray,
        bins: tuple[int, ...],
    ) -> None:
        self._weights = np.exp(log_weights)
        self._means = means
        self._rates = np.exp(-log_scales)
        self._bins = np.array(bins, "float64")[:, None]

    def cdf(self, edges: np.ndarray) -> np.ndarray:
        """Probability of what lies below the lower edge of grey level ``edges``, 0 to 256."""
        k = len(self._means)
        shares = np.clip(edges - self._bins, 0.0, 1.0)
        # exp of what is far overflows, and 1 / inf is 0; the logit of 0 or 1 is infinite.
        with np.errstate(over="ignore", divide="ignore"):
            z = (edges / LEVELS - 0.5 - self._means) * self._rates
            below = self._weights[:k] / (1.0 + np.exp(-z))
            # Along the first axis NumPy adds row after row, whatever the number of images.
            total = below.sum(axis=0) + (self._weights[k:] * shares).sum(axis=0)
            total = np.minimum(total, 1.0)
            logit = np.log(total) - np.log1p(-total)
        return _normal_cdf(2.0 * ROOT * np.sinh(np.arcsinh(logit / (2.0 * B * ROOT**3)) / 3.0))


class Normal:
    """CDF of a value with a normal density, in float64.

    Args:
        shift: ``(n,)``; ``(x + shift) * exp(log_scale)`` is a standard normal.
        log_scale: ``(n,)``.
    """

    def __init__(self, shift: np.ndarray, log_scale: np.ndarray) -> None:
        self._shift = shift
        self._rate = np.exp(log_scale)

    def cdf(self, edges: np.ndarray) -> np.ndarray:
        """See :meth:`Mixture.cdf`."""
        return _normal_cdf((edges / LEVELS - 0.5 + self._shift) * self._rate)


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(x))


def _rows(x: Any) -> np.ndarray:
    """``(n, 1, 1, k, 1)`` or ``(n, 1, 1, 1)`` as ``(k, n)``, float64."""
    array = ops.convert_to_numpy(x).astype("float64")
    return np.ascontiguousarray(array.reshape(len(array), -1).T)
