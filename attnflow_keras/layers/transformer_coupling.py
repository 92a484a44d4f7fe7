"""A coupling with a transformer over patches as its conditioner."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.bijectors import FlowBijector
from attnflow_keras.core.checks import check_choice, check_integer, check_number
from attnflow_keras.core.completion import value_order
from attnflow_keras.layers.causal_values import AFFINE_BOUND, CausalValues
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.layers.refinement import refinement_stages
from attnflow_keras.layers.token_condition import TokenCondition
from attnflow_keras.layers.token_order import TokenOrder
from attnflow_keras.networks.causal_transformer import CausalTransformer
from attnflow_keras.networks.initializers import Normal
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

KINDS = ("channel", "pixels", "checkerboard", "rows", "columns", "refinement")
CONTEXTS = ("own", "around")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class TransformerCoupling(FlowLayer):
    """Transform half of the values by attention over the other half (Jet, arXiv:2412.15129).

    The map is divided into patches, the tokens. A transformer reads the unchanged half, with zeros
    in place of the other, and computes the parameters that transform the other half. Both
    directions take one pass.

    ``kind`` determines the halves: of the values of each patch, drawn once (``"channel"``); of the
    pixels, as on a checkerboard (``"pixels"``); of the patches (``"checkerboard"``, ``"rows"``,
    ``"columns"``). ``swap`` exchanges the two halves.

    With ``"refinement"``, the layer transforms the values of one stage of
    :func:`refinement_stages`, and its transformer reads those of the later, coarser stages. A
    chain of layers, stage 0 first, transforms every value once, given all coarser ones.

    Unlike Jet's, the scale is not below 2: ``"affine"`` is ``(x - b) exp(-a)`` with ``|a| < 3``.

    >>> layer = TransformerCoupling(patch=4, width=32, layers=1)
    >>> y, log_det = layer(np.zeros((2, 8, 8, 1)))

    Args:
        patch: side of a patch; divides height and width.
        kind: see above.
        swap: transform the other half.
        stage: of ``"refinement"``, from 0.
        context: what a token reads directly, in addition to attention: ``"own"``, its own
            patch, or ``"around"``, also the eight patches around it.
        seed: draws the halves of ``"channel"``.
        width: channels of the transformer, divisible by ``heads``.
        layers: its layers.
        heads: heads of its attention.
        transform: ``"affine"``, or ``"mixture"``, as in :class:`CausalAttention`, with the
            arguments from ``components`` to ``floor``.
        components: logistics of a mixture.
        bins: grey levels with a uniform component each; only on float images.
        see_levels: let the transformer see grey levels without dequantization noise; only on
            float images.
        spread: size of typical inputs: 0.5 for images, 1 for latents.
        seen_spread: the same for the unchanged half; by default ``spread``.
        floor: weight of a wide logistic in the mixture.
        dropout: rate of the transformer's dropout in training.
        condition_scale: as in :class:`CausalAttention`.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    any_size = False  # positions are learned

    def __init__(
        self,
        patch: int = 4,
        kind: str = "channel",
        swap: bool = False,
        stage: int = 0,
        context: str = "own",
        seed: int = 0,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        transform: str = "affine",
        components: int = 8,
        bins: tuple[int, ...] = (),
        see_levels: bool = False,
        spread: float = 1.0,
        seen_spread: float | None = None,
        floor: float = 1e-3,
        dropout: float = 0.0,
        condition_scale: int | None = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.patch = check_integer("patch", patch)
        self.kind = check_choice("kind", kind, KINDS)
        self.swap = bool(swap)
        self.stage = check_integer("stage", stage, 0)
        self.context = check_choice("context", context, CONTEXTS)
        if kind == "refinement" and swap:
            raise ValueError("swap goes with halves; kind='refinement' has stages")
        self.seed = check_integer("seed", seed, 0)
        for name, value, least in (("width", width, 1), ("layers", layers, 0), ("heads", heads, 1)):
            check_integer(name, value, least)
        if width % heads:
            raise ValueError(f"width must be divisible by heads; got width={width}, heads={heads}")
        check_number("dropout", dropout, "[0, 1)")
        self.values = CausalValues(transform, components, bins, see_levels, spread, floor)
        self.seen_spread = seen_spread
        self.condition_scale = condition_scale
        self.trunk = CausalTransformer(
            width,
            layers,
            heads,
            dropout=dropout,
            causal=False,
            dtype=self.dtype_policy,
            name="trunk",
        )

    @property
    def log_scale_bound(self) -> float | None:
        return AFFINE_BOUND if self.values.affine else None

    def build_map(self, shape: tuple[int, int, int]) -> None:
        height, width, _ = shape
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"patch must divide the map's height and width, {height} and {width}; got "
                f"{self.patch}"
            )
        self.tokens = TokenOrder(shape, self.patch, "raster", "previous")
        changed, seen = self._parts(shape)
        places = np.arange(changed.size)
        self._changed, self._same = places[changed], places[~changed]
        self._back = np.argsort(np.concatenate([self._changed, self._same]))
        by_token = (self.tokens.tokens, self.tokens.values)
        self._mask = seen.reshape(by_token)
        # The places in a patch that change in any patch, and where they are among the outputs.
        columns = changed.reshape(by_token).any(axis=0)
        token, place = np.divmod(self._changed, self.tokens.values)
        self._outputs = token * columns.sum() + (np.cumsum(columns) - 1)[place]
        self._around = _around(self.tokens.grid) if self.context == "around" else None
        inner = self.trunk.width
        views = 1 if self._around is None else self._around.shape[1]
        self.embedding = self._dense("embedding", views * self.tokens.values, inner)
        self.positions = self.add_weight(
            (self.tokens.tokens, inner), Normal(stddev=0.2), name="positions", autocast=False
        )
        if self.condition_channels:
            self.told = TokenCondition(self.patch, self.condition_channels, self.condition_scale)
            self.condition_in = self._dense("condition_in", self.told.features, inner)
        self.trunk.build((None, self.tokens.tokens, inner))
        # It decides the values directly, so it works in the variable dtype, and starts at zero.
        self.out = keras.layers.Dense(
            int(columns.sum()) * self.values.parameters,
            kernel_initializer="zeros",
            dtype=self.variable_dtype,
            name="out",
        )
        self.out.build((None, inner))

    @property
    def changed_places(self) -> np.ndarray:
        """Where the values that change are in a flat map, in the order of their parameters."""
        places = value_order(self.tokens.shape, self.patch, "raster")
        return np.asarray(places[self._changed])

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
        tokens = self.tokens.split(x)
        flat = ops.reshape(tokens, (ops.shape(x)[0], 1, 1, -1))
        same, y = ops.take(flat, self._same, axis=-1), ops.take(flat, self._changed, axis=-1)
        bijectors = self._bijectors(tokens, condition, noise)
        log_dets = []
        for bijector in reversed(bijectors) if inverse else bijectors:
            step = bijector.inverse_and_log_det if inverse else bijector.forward_and_log_det
            y, log_det = step(y)
            log_dets.append(log_det)
        y = ops.take(ops.concatenate([y, same], axis=-1), self._back, axis=-1)
        return self.tokens.join(ops.reshape(y, ops.shape(tokens))), sum(log_dets)

    def bijectors_for(self, x: Tensor, condition: Tensor | None = None) -> list[FlowBijector]:
        return self._bijectors(self.tokens.split(x), condition)[:1]

    def _bijectors(
        self, tokens: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> list[FlowBijector]:
        seen = self.values.seen(tokens, self.seen_spread)
        seen = seen * ops.cast(self._mask, seen.dtype)
        if self._around is not None:
            padded = ops.pad(seen, [[0, 0], [0, 1], [0, 0]])
            seen = ops.take(padded, self._around.reshape(-1), axis=1)
            seen = ops.reshape(seen, (ops.shape(tokens)[0], self.tokens.tokens, -1))
        h = self.embedding(seen)
        h = h + ops.cast(ops.convert_to_tensor(self.positions), h.dtype)
        if condition is not None:
            h = h + self.condition_in(self.told.split(condition, self.tokens))
        raw = self.out(ops.cast(self.trunk(h, noise=noise), self.variable_dtype))
        raw = ops.reshape(raw, (ops.shape(tokens)[0], 1, -1, self.values.parameters))
        return self.values.bijectors((ops.take(raw, self._outputs, axis=2), None))

    def _parts(self, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Which values change and which are seen, in the order of tokens."""
        if self.kind == "refinement":
            stages = _by_token(refinement_stages(shape), self.patch)
            if self.stage > stages.max():
                raise ValueError(
                    f"stage must be below {stages.max() + 1} for a map of {shape}; got {self.stage}"
                )
            return stages == self.stage, stages > self.stage
        changed = _halves(self.kind, shape, self.patch, self.seed) != self.swap
        if changed.all() or not changed.any():
            raise ValueError(
                f"kind must leave some values and change others; got {self.kind!r} for a map of "
                f"{shape} and patch={self.patch}"
            )
        return changed, ~changed

    # --- Keras ---------------------------------------------------------------------------

    def condition_sides(self, sides: tuple[Any, ...]) -> tuple[Any, ...]:
        return TokenCondition(self.patch, self.condition_channels, self.condition_scale).sides(
            sides
        )

    def _dense(self, name: str, inputs: int, units: int) -> keras.layers.Dense:
        start = Normal(stddev=inputs**-0.5)
        layer = keras.layers.Dense(
            units, kernel_initializer=start, dtype=self.dtype_policy, name=name
        )
        layer.build((None, inputs))
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patch": self.patch,
            "kind": self.kind,
            "swap": self.swap,
            "stage": self.stage,
            "context": self.context,
            "seed": self.seed,
            "width": self.trunk.width,
            "layers": self.trunk.layers,
            "heads": self.trunk.heads,
            **self.values.get_config(),
            "seen_spread": self.seen_spread,
            "dropout": self.trunk.dropout,
            "condition_scale": self.condition_scale,
        }


def _halves(kind: str, shape: tuple[int, int, int], patch: int, seed: int) -> np.ndarray:
    """Which values of a map change, in the order of tokens, ``(values of the map,)``."""
    height, width, channels = shape
    y, x = np.mgrid[:height, :width]
    if kind == "channel":
        drawn = np.random.default_rng(seed).permutation(patch * patch * channels)
        return np.tile(drawn < len(drawn) / 2, (height // patch) * (width // patch))
    down, right = y // patch, x // patch
    half = {
        "pixels": (y + x) % 2,
        "checkerboard": (down + right) % 2,
        "rows": down % 2,
        "columns": right % 2,
    }[kind]
    return _by_token(np.repeat(half[..., None] == 0, channels, axis=-1), patch)


def _by_token(values: np.ndarray, patch: int) -> np.ndarray:
    """The values of a map in the order of tokens, ``(values of the map,)``."""
    height, width, channels = values.shape
    values = values.reshape(height // patch, patch, width // patch, patch, channels)
    return values.transpose(0, 2, 1, 3, 4).reshape(-1)


def _around(grid: tuple[int, int]) -> np.ndarray:
    """The numbers of each token and of the eight around it, ``tokens`` for those outside."""
    rows, columns = grid
    number = np.pad(np.arange(rows * columns).reshape(grid), 1, constant_values=rows * columns)
    views = [
        number[down : down + rows, right : right + columns].reshape(-1)
        for down in range(3)
        for right in range(3)
    ]
    return np.stack(views, axis=1).astype("int32")
