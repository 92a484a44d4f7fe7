"""Causal attention, whose mask is an order."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.bijectors import FlowBijector
from attnflow_keras.core.checks import check_choice, check_integer, check_number
from attnflow_keras.layers.causal_inverse import token_by_token
from attnflow_keras.layers.causal_values import AFFINE_BOUND, CausalValues
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.layers.token_condition import TokenCondition
from attnflow_keras.layers.token_order import CONTEXTS, ORDERS, TokenOrder
from attnflow_keras.networks.causal_transformer import CausalTransformer
from attnflow_keras.networks.initializers import Normal
from attnflow_keras.networks.linear_predictor import LinearPredictor
from attnflow_keras.networks.masked_head import MaskedHead
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

MOST_TOKENS = 2**14


@keras.saving.register_keras_serializable(package="attnflow_keras")
class CausalAttention(FlowLayer):
    """Transform each patch given the patches before it, by causal attention.

    The map is divided into patches, the tokens, in an order. A causal transformer computes features
    of the earlier tokens; a masked network adds the earlier values within the patch; both determine
    the parameters that transform a value. The Jacobian is triangular and its determinant a product,
    for any depth of the attention. The forward map takes one pass; the inverse is sequential over
    tokens, with cached keys and values.

    ``transform="mixture"`` maps a value to ``g(logit F(x))``, F the CDF of a mixture of
    logistics and of uniform densities on the grey levels ``bins``, and g the map from the
    logistic to the normal distribution (:class:`LogisticToNormal`). ``"affine"`` is
    ``(x - b) exp(-a)`` with ``|a| < 3``. With ``context="previous"``, ``group=0`` and
    ``"affine"`` it is a block of TarFlow (arXiv:2412.06329), with a learned first token.

    In half precision the two passes round differently, so decoding is approximate there: train in
    mixed precision, decode in float32.

    >>> layer = layers.CausalAttention(patch=4, width=32, layers=1)
    >>> eps, log_det = layer(np.zeros((2, 8, 8, 1), "float32"))
    >>> tuple(eps.shape), tuple(log_det.shape)
    ((2, 8, 8, 1), (2,))

    Args:
        patch: side of a patch; divides height and width.
        width: channels of the transformer, divisible by ``heads``.
        layers: its layers.
        heads: heads of its attention.
        group: hidden units for each value of a patch in the masked network; 0 for no order
            inside a patch, whose values are then independent given the patches before it.
        order: ``"raster"``, ``"reversed"`` or ``"columns"``.
        context: what a token reads directly, in addition to attention: ``"neighbours"``,
            four patches around it, or ``"previous"``, the one before it.
        transform: ``"mixture"`` or ``"affine"``.
        components: logistics of a mixture.
        bins: grey levels, 0 to 255, that get a uniform component each; only if the inputs are
            float images ``(k + u) / 256 - 0.5``.
        see_levels: let the networks see the grey level of a value without its dequantization
            noise; only if the inputs are such float images. The noise has no information about
            later values, and rounding errors of the inverse don't propagate to them.
        spread: size of typical inputs, in which means and scales are measured: 0.5 for images, 1
            to 2 for latents.
        floor: weight of a wide logistic in the mixture, which keeps the inverse exact in float32
            between narrow components; costs at most ``-log2(1 - floor)`` bits per dimension.
        dropout: rate of the transformer's dropout in training.
        linear: make the means of a mixture relative to a linear prediction of the value, in units
            of its error, see :class:`LinearPredictor`; ``adapt`` fits it by least squares. Most
            useful for photographs.
        condition_scale: by how much the condition map is smaller than the input: 1, or another
            integer that divides ``patch`` or is a multiple of it; None where it is one vector
            ``(n, 1, 1, condition_channels)`` for the whole map, such as an embedded class.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    any_size = False  # positions are learned

    def __init__(
        self,
        patch: int = 4,
        width: int = 160,
        layers: int = 3,
        heads: int = 4,
        group: int = 20,
        order: str = "raster",
        context: str = "neighbours",
        transform: str = "mixture",
        components: int = 10,
        bins: tuple[int, ...] = (),
        see_levels: bool = False,
        spread: float = 0.5,
        floor: float = 1e-3,
        dropout: float = 0.0,
        linear: bool = False,
        condition_scale: int | None = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ("patch", patch, 1),
            ("width", width, 1),
            ("layers", layers, 0),
            ("heads", heads, 1),
            ("group", group, 0),
        ):
            check_integer(name, value, least)
        if width % heads:
            raise ValueError(f"width must be divisible by heads; got width={width}, heads={heads}")
        check_choice("order", order, ORDERS)
        check_choice("context", context, CONTEXTS)
        if linear and transform != "mixture":
            raise ValueError(f"linear goes with transform='mixture'; got transform={transform!r}")
        check_number("dropout", dropout, "[0, 1)")
        self.patch = patch
        self.order = order
        self.context = context
        self.values = CausalValues(transform, components, bins, see_levels, spread, floor, linear)
        self.condition_scale = condition_scale
        self.linear = LinearPredictor(dtype=self.variable_dtype, name="linear") if linear else None
        self.trunk = CausalTransformer(
            width, layers, heads, dropout=dropout, dtype=self.dtype_policy, name="trunk"
        )
        # Its output decides the values directly, so it works in the variable dtype.
        self.head = MaskedHead(
            group, self.values.parameters, dtype=self.variable_dtype, name="head"
        )

    @property
    def log_scale_bound(self) -> float | None:
        return AFFINE_BOUND if self.values.affine else None

    def build_map(self, shape: tuple[int, int, int]) -> None:
        height, width, _ = shape
        if height % self.patch or width % self.patch:
            fits = [p for p in range(1, min(height, width) + 1) if not (height % p or width % p)]
            raise ValueError(
                f"patch must divide the map's height and width, {height} and {width}; got "
                f"{self.patch}. Of use are {', '.join(map(str, fits))}"
            )
        count = height * width // self.patch**2
        if count > MOST_TOKENS:
            raise ValueError(
                f"patch must leave at most {MOST_TOKENS:,} tokens: attention grows with their "
                f"square; got patch={self.patch} and {count:,} tokens of {height}x{width}"
            )
        self.tokens = TokenOrder(shape, self.patch, self.order, self.context)
        seen = self.tokens.before.shape[1] * self.tokens.values
        self.embedding = self._dense("embedding", seen, use_bias=True)
        self.positions = self.add_weight(
            (self.tokens.tokens, self.trunk.width),
            Normal(stddev=0.2),
            name="positions",
            autocast=False,
        )
        if self.condition_channels:
            self.told = TokenCondition(self.patch, self.condition_channels, self.condition_scale)
            self.condition_in = self._dense("condition_in", self.told.features)
        if not self.trunk.built:
            self.trunk.build((None, self.tokens.tokens, self.trunk.width))
        inputs = self.trunk.width
        if self.linear is not None:
            if self.condition_channels:
                seen += self.told.features
            self.linear.build_for(seen, self.tokens.values, self.tokens.kinds)
            # Whether a place is smooth or busy must be seen as sharply as the prediction is made.
            inputs += seen
        self.head.build_for(inputs, self.tokens.values)

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if self.linear is not None:
            scaled = self.values.seen(self.tokens.split(ops.convert_to_tensor(x)))
            self.linear.fit(self._all_seen(scaled, condition)[1], scaled)
        return super().adapt(x, condition)

    @property
    def takes_noise(self) -> bool:
        return self.trunk.dropout > 0

    def transform(
        self,
        x: Tensor,
        condition: Tensor | None,
        inverse: bool,
        noise: StepNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        if inverse:
            return token_by_token(self, x, condition)
        tokens = self.tokens.split(x)
        y = ops.expand_dims(tokens, 2)
        log_dets = []
        for bijector in self.values.bijectors(self.parameters_of(tokens, condition, noise)):
            y, log_det = bijector.forward_and_log_det(y)
            log_dets.append(log_det)
        return self.tokens.join(ops.squeeze(y, 2)), sum(log_dets)

    def bijectors_for(self, x: Tensor, condition: Tensor | None = None) -> list[FlowBijector]:
        return self.values.bijectors(self.parameters_of(self.tokens.split(x), condition))[:1]

    # --- parameters ----------------------------------------------------------------------

    def parameters_of(
        self, tokens: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> Any:
        """Parameters ``(n, tokens, values, outputs)`` of all values at once, and predictions."""
        scaled = self.values.seen(tokens)
        near, seen = self._all_seen(scaled, condition)
        h = self.embedding(near)
        h = h + ops.cast(ops.convert_to_tensor(self.positions), h.dtype)
        if condition is not None:
            h = h + self.condition_in(self.told.split(condition, self.tokens))
        h = ops.cast(self.trunk(h, noise=noise), self.variable_dtype)
        if self.linear is None:
            return self.head(h, scaled), None
        head = self.head(ops.concatenate([h, seen], axis=-1), scaled)
        return head, self.linear(seen, scaled)

    def _all_seen(self, scaled: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """What each token sees directly of the map, and of the map and the condition."""
        near = self.tokens.contexts(scaled)
        if condition is None:
            return near, near
        told = self.told.split(condition, self.tokens)
        told = ops.broadcast_to(told, (*ops.shape(near)[:2], told.shape[-1]))
        return near, ops.concatenate([near, ops.cast(told, near.dtype)], axis=-1)

    def start(self, h: Tensor, seen: Tensor, t: Any) -> tuple[Any, Any]:
        """What the trunk's output and what token t sees contribute to its parameters."""
        h = ops.cast(h, self.variable_dtype)
        if self.linear is None:
            return self.head.start(h), None
        started = self.head.start(ops.concatenate([h, seen], axis=-1))
        return started, self.linear.start(seen, t)

    def finish(self, started: tuple[Any, Any], known: Tensor) -> tuple[Tensor, Any]:
        """Parameters ``(n, values, outputs)`` of one token, and predictions."""
        raw = self.head.finish(started[0], known)
        return raw, self.linear.finish(started[1], known) if self.linear is not None else None

    # --- Keras ---------------------------------------------------------------------------

    def condition_sides(self, sides: tuple[Any, ...]) -> tuple[Any, ...]:
        return TokenCondition(self.patch, self.condition_channels, self.condition_scale).sides(
            sides
        )

    def _dense(self, name: str, inputs: int, use_bias: bool = False) -> keras.layers.Dense:
        layer = keras.layers.Dense(
            self.trunk.width,
            use_bias=use_bias,
            kernel_initializer=Normal(stddev=inputs**-0.5),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build((None, inputs))
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patch": self.patch,
            "width": self.trunk.width,
            "layers": self.trunk.layers,
            "heads": self.trunk.heads,
            "group": self.head.group,
            "order": self.order,
            "context": self.context,
            **self.values.get_config(),
            "dropout": self.trunk.dropout,
            "linear": self.linear is not None,
            "condition_scale": self.condition_scale,
        }
