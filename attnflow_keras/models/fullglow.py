"""Full-Glow, label to photo: a Glow of photos that reads a Glow of labels at every step."""

from typing import Any, ClassVar

import keras
from keras import ops

from attnflow_keras import layers
from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import (
    check_options,
    counts_by_level,
)
from attnflow_keras.flow.attentions import StepAttention, accepts_attention, with_attention
from attnflow_keras.models.glow import Glow, check_levels
from attnflow_keras.models.label_flow import SOURCE_SEED, SourcedFlow
from attnflow_keras.networks import GlowConvNet, MapToVectorNet
from attnflow_keras.networks.map_to_vector import LEAST_SIDE
from attnflow_keras.ops.channels_last import average_pool
from attnflow_keras.ops.numerics import SCALE_FLOOR, check_scale_floor
from attnflow_keras.priors import GaussianPrior

Tensor = Any

# Maps of the source that a step of the target reads: after actnorm, after the 1x1 convolution,
# and after the whole step.
MAPS = 3


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_attention(after="attention_in")
class FullGlow(SourcedFlow):
    """Flow of photos given label maps (Full-Glow, arXiv:2012.05846; paper, section 5).

    A source Glow models the label map as an image, and a target Glow with the same levels and steps
    models the photo. The parameters of actnorm, 1x1 convolution and coupling of a target step come
    from the source's map after the same layer, so that each sample has its own matrices. The
    condition is deterministic: labels get noise only in the source's own likelihood, which ``fit``
    adds with weight ``source_weight``.

    With the reference's options (256x256, ``levels`` and ``steps`` 4/16 or 2/8) it has
    155,335,008 or 34,654,752 parameters. Its networks for actnorm and 1x1 convolution are tied to
    the size of the maps.

    An argument marked "by level" takes one value for all levels or a list with one per level.

    >>> flow = models.FullGlow((16, 16, 3), levels=1, steps=1, width=8, condition_width=8)
    >>> flow.sample(1, condition=np.zeros((1, 16, 16, 3), "uint8"), seed=0).shape
    (1, 16, 16, 3)

    Args:
        image_shape: ``(height, width, 3)`` of photos; both sides divisible by ``2 ** levels``, and
            at least 5 times that, for the networks for actnorm and 1x1 convolution.
        levels: number of levels.
        steps: steps, by level.
        width: hidden channels of the couplings, by level.
        condition_width: hidden channels of the couplings' branch for the condition.
        vector_options: arguments of :class:`MapToVectorNet`, the networks for actnorm and 1x1
            convolution.
        palette: colour of each class, ``(classes, 3)`` of 0 to 255; label maps are then classes
            ``(n, h, w)``, or colours. None: colours ``(n, h, w, 3)`` only.
        boundaries: label maps are colours with a fourth channel, the borders of instances (255,
            else 0); at every level the target's couplings read its mean in each cell.
        attention_in: ``"target"``, or ``"both"`` for the source as well.
        <attention>
        source_weight: weight of the source's bits per dimension in the loss of ``fit``.
        scale_floor: smallest scale of couplings, see :class:`AffineCoupling`; 0 is the
            reference's.
        **kwargs: arguments of :class:`Flow`.
    """

    absent: ClassVar[dict[str, Any]] = {**SourcedFlow.absent, "scale_floor": 0.0}

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (256, 256, 3),
        levels: int = 4,
        steps: int | list[int] = 16,
        width: int | list[int] = 512,
        condition_width: int = 128,
        vector_options: dict[str, Any] | None = None,
        palette: Any = None,
        boundaries: bool = False,
        *,
        attention_in: str = "target",
        source_weight: float = 1e-4,
        scale_floor: float = SCALE_FLOOR,
        **kwargs: Any,
    ) -> None:
        attention = StepAttention.take(kwargs)
        super().__init__(
            image_shape,
            source_weight=source_weight,
            palette=palette,
            extra_channels=int(bool(boundaries)),
            **kwargs,
        )
        check_choice("attention_in", attention_in, ("target", "both"))
        check_levels(levels, self.float_shape)
        least = LEAST_SIDE * 2**levels
        if min(self.float_shape[:2]) < least:
            raise ValueError(
                f"image_shape must have sides of at least {least} with levels={levels}; got "
                f"{self.image_shape}"
            )
        check_options("vector_options", vector_options, MapToVectorNet, ("out_channels",))
        self._config = {
            "levels": levels,
            "steps": plain(steps),
            "width": plain(width),
            "condition_width": condition_width,
            "vector_options": dict(vector_options or {}),
            "boundaries": bool(boundaries),
            **attention.to_config(),
            "attention_in": attention_in,
            "scale_floor": check_scale_floor(scale_floor),
        }
        self._by_level: dict[str, Any] = {
            "steps": counts_by_level("steps", steps, levels),
            "width": counts_by_level("width", width, levels),
            "grid": attention.grids(levels, self.float_shape),
        }
        self.build()

    def make_source(self) -> Glow:
        shared = ("levels", "steps", "width")
        options = {key: self._config[key] for key in shared}
        if self._config["attention_in"] == "both":
            options |= StepAttention.take(dict(self._config)).to_config()
        return Glow(
            self.image_shape,
            seed=self.seed + SOURCE_SEED,
            dtype=self.dtype_policy,
            name="source",
            allow_constant=True,
            input_bound=self.input_bound,
            scale_floor=0.0,
            **options,
        )

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy = self.dtype_policy
        count, channels = self._config["levels"], self.float_shape[-1]
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        for level in range(count):
            channels *= 4
            steps = self._by_level["steps"][level]
            parts: dict[str, layers.FlowLayer] = {"squeeze": layers.Squeeze(dtype=policy)}
            for step in range(steps):
                parts[f"step_{step + 1}"] = self._step(level, step, channels)
            total = steps * (MAPS * channels + self.extra_channels)
            chain = layers.Chain(parts, condition_channels=total, dtype=policy)
            kept = 0 if level == count - 1 else channels // 2
            prior = GaussianPrior("one_padded", condition_channels=kept, dtype=policy)
            levels.append((chain, prior))
            channels //= 2
        return levels

    def _step(self, level: int, step: int, channels: int) -> layers.Chain:
        policy = self.dtype_policy
        own = {"condition_channels": channels, "dtype": policy}
        # The coupling's own map, and the boundaries behind it.
        coupled = channels + self.extra_channels
        seed = self.seed + 1000 * level + step
        network = GlowConvNet(
            self._by_level["width"][level],
            coupled,
            condition_width=self._config["condition_width"],
            dtype=policy,
        )
        conditional = {
            "actnorm": layers.ConditionalActNorm(self._vector_net(), **own),
            "conv1x1": layers.ConditionalConv1x1(self._vector_net(), seed=seed, **own),
            "coupling": layers.AffineCoupling(
                network,
                scale="sigmoid",
                scale_floor=self._config["scale_floor"],
                condition_channels=coupled,
                dtype=policy,
            ),
        }
        each = MAPS * channels + self.extra_channels
        total = self._by_level["steps"][level] * each
        parts: dict[str, layers.FlowLayer] = {
            name: layers.ConditionSlice(
                layer, step * each + i * channels, condition_channels=total, dtype=policy
            )
            for i, (name, layer) in enumerate(conditional.items())
        }
        grid = self._by_level["grid"][level]
        parts = with_attention(parts, self._config, grid, seed, dtype=policy)
        return layers.Chain(parts, condition_channels=total, dtype=policy)

    def _vector_net(self) -> MapToVectorNet:
        return MapToVectorNet(dtype=self.dtype_policy, **self._config["vector_options"])

    # --- the condition -------------------------------------------------------------------

    def traced_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Maps of the source for label maps: one tensor per level, all steps side by side."""
        x = self.label_floats(condition)
        edges = None
        if self.extra_channels:
            edges = ops.cast(condition[..., 3:], self.variable_dtype) / 255.0
        features: list[Tensor] = []
        maps: list[Tensor] = []  # of the level

        def at_level(layer: Any, x: Tensor, given: Any, inverse: bool) -> Any:
            if not isinstance(layer, layers.Chain):  # a prior, whose output nobody reads
                return x, 0.0
            maps.clear()
            result = layer.walk(x, given, inverse, at_step)
            features.append(ops.concatenate(maps, axis=-1))
            return result

        def at_step(layer: Any, x: Tensor, given: Any, inverse: bool) -> Any:
            nonlocal edges
            if not isinstance(layer, layers.Chain):  # the squeeze
                edges = None if edges is None else average_pool(edges, 2, 2)
                return layer(x)
            result = layer.walk(x, given, inverse, at_part)
            maps.extend([result[0]] if edges is None else [result[0], edges])
            return result

        def at_part(layer: Any, x: Tensor, given: Any, inverse: bool) -> Any:
            result = layer(x)
            if isinstance(layer, layers.ActNorm | layers.InvertibleConv1x1):
                maps.append(result[0])
            return result

        self.source.multi_scale.encode(x, apply=at_level)
        return tuple(features)
