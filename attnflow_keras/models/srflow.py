"""SRFlow, super-resolution as a conditional flow, with the paper's attentions."""

import math
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend, layers
from attnflow_keras.core.checks import check_choice, check_integer, check_power_of_two
from attnflow_keras.core.conditions import PictureKind
from attnflow_keras.flow.any_size import AnySize, SizeCopies
from attnflow_keras.flow.arguments import (
    check_options,
    counts_by_level,
)
from attnflow_keras.flow.attentions import StepAttention, accepts_attention, with_attention
from attnflow_keras.flow.consistency import consistent
from attnflow_keras.flow.flow import Flow
from attnflow_keras.networks import ActNormConvNet, RRDBNet
from attnflow_keras.ops.numerics import SCALE_FLOOR, check_scale_floor
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.priors import GaussianPrior, StandardPrior

Tensor = Any

SPLITS = ("reference", "all")
NOISE_LEVELS = (None, 32, 256)


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_attention(after="split")
class SRFlow(AnySize, Flow):
    """Flow of high-resolution images given low-resolution ones (SRFlow, arXiv:2006.14200; paper,
    section 5).

    The condition is a low-resolution image, uint8 ``(n, h / scale, w / scale, c)``; an RRDB encoder
    computes its feature maps for every level. A level squeezes the map and applies two transition
    steps of actnorm and 1x1 convolution, then ``steps`` steps of actnorm, 1x1 convolution, affine
    injector and conditional affine coupling, with one attention in each at ``position``.

    The defaults are the reference's for CelebA at 8x. The paper's configurations have
    ``levels`` and ``steps`` of 1/1 and 2/8, full SRFlow 4/16; with 1 or 2 levels the reference
    has no split at all.

    No weight depends on the image size, for which iMap's ``bias`` is ``"channel"``. :meth:`at_size`
    returns the same flow for another size, and the public methods take images of other sizes
    directly.

    An argument marked "by level" takes one value for all levels or a list with one per level.

    >>> flow = models.SRFlow(
    ...     (16, 16, 3),
    ...     scale=4,
    ...     levels=1,
    ...     steps=1,
    ...     width=8,
    ...     encoder_options={"features": 8, "growth": 4, "blocks": 1, "stacked": (0,)},
    ... )
    >>> flow.sample(1, condition=np.zeros((1, 4, 4, 3), "uint8"), seed=0).shape
    (1, 16, 16, 3)

    Args:
        image_shape: ``(height, width, channels)`` of the high-resolution images; both sides
            divisible by ``scale`` and by ``2 ** levels``.
        scale: factor of super-resolution, a power of 2.
        levels: number of levels, at most ``log2(scale) + 1``.
        steps: conditional steps, by level.
        width: hidden channels of the conditioners, by level.
        transition_steps: steps without a coupling at the start of a level.
        split: after which levels half of the channels become latents: ``"reference"``, those
            before the last but one, as SRFlow's code has it; or ``"all"`` but the last, as its
            paper.
        <attention>
        attention_condition: give the condition's features to the attention as well.
        encoder_options: arguments of :class:`RRDBNet`.
        residual: model the difference between the image and the encoder's own restoration (a
            residual target), whose coarse part is set so that it is the condition when downsampled
            (:func:`consistent`). The encoder must have been trained before (``pretrain_steps`` of a
            recipe), and the likelihood never trains it. Samples are then near that restoration from
            the start, and all that the flow has to add is detail. Not in the reference.
        scale_floor: smallest scale of couplings and injectors, see :class:`AffineCoupling`; 0 is
            the reference's.
        noise_levels: noise that ``fit`` adds to images: 32 for ``(u - 1/2) / 32`` (SRFlow's
            paper), 256 for one grey level, None for none (its code). Scores always use 256.
        seed: seed of the fixed rotations and masks, and of the noise in ``fit``.
        **kwargs: arguments of ``keras.Model``.
    """

    absent: ClassVar[dict[str, Any]] = {**Flow.absent, "scale_floor": 0.0}

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (160, 160, 3),
        scale: int = 8,
        levels: int = 2,
        steps: int | list[int] = 8,
        width: int | list[int] = 64,
        transition_steps: int = 2,
        split: str = "reference",
        *,
        attention_condition: bool = False,
        encoder_options: dict[str, Any] | None = None,
        residual: bool = False,
        scale_floor: float = SCALE_FLOOR,
        noise_levels: int | None = 32,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        attention = StepAttention.take(kwargs)
        super().__init__(image_shape, seed=seed, **kwargs)
        check_choice("split", split, SPLITS)
        check_choice("noise_levels", noise_levels, NOISE_LEVELS)
        check_integer("transition_steps", transition_steps, 0)
        check_power_of_two("scale", scale)
        doublings = int(math.log2(scale))
        check_integer("levels", levels)
        if levels > doublings + 1:
            raise ValueError(
                f"levels must be at most {doublings + 1} at scale {scale}; got {levels}"
            )
        options = attention.attention_options
        if attention.attention == "imap" and (options or {}).get("bias", "channel") != "channel":
            raise ValueError(
                "attention_options: bias must be 'channel', so that images of all sizes pass; "
                f"got {options!r}"
            )
        check_options("encoder_options", encoder_options, RRDBNet, ("scale",))
        self._config = {
            "scale": scale,
            "levels": levels,
            "steps": steps,
            "width": width,
            "transition_steps": transition_steps,
            "split": split,
            **attention.to_config(),
            "attention_condition": bool(attention_condition),
            "encoder_options": dict(encoder_options or {}),
            **({"residual": True} if residual else {}),
            "scale_floor": check_scale_floor(scale_floor),
            "noise_levels": noise_levels,
        }
        self._by_level: dict[str, Any] = {
            "steps": counts_by_level("steps", steps, levels),
            "width": counts_by_level("width", width, levels),
            "grid": attention.grids(levels),
        }
        self._copies = SizeCopies()
        self.scale = scale
        self._side_multiple = least = max(scale, 2**levels)
        if attention.attention == "itrans":
            sides = [
                math.lcm(scale, *(side * 2 ** (level + 1) for level, side in enumerate(cells)))
                for cells in zip(*self._by_level["grid"], strict=True)
            ]
            self._side_multiple = math.lcm(self._side_multiple, *sides)
        height, wide, channels = self.image_shape
        if height % least or wide % least:
            raise ValueError(
                f"image_shape must have sides divisible by {least} (scale {scale}, {levels} "
                f"levels); got {self.image_shape}"
            )
        attention.grids(levels, self.image_shape)
        self.condition_kind = PictureKind((height // scale, wide // scale, channels), scale, True)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        if getattr(self, "built", False):
            return
        self.encoder = RRDBNet(
            scale=self.scale, dtype=self.dtype_policy, **self._config["encoder_options"]
        )
        with backend.start_values():
            self.encoder.build((None, None, None, self.image_shape[-1]))
        super().build(input_shape)

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy = self.dtype_policy
        count = self._config["levels"]
        channels = self.image_shape[-1]
        last_split = count - 2 if self._config["split"] == "reference" else count - 1
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        for level in range(count):
            parts: dict[str, layers.FlowLayer] = {"squeeze": layers.Squeeze(dtype=policy)}
            for step in range(self._config["transition_steps"]):
                parts[f"transition_{step + 1}"] = self._transition(level, step)
            for step in range(self._by_level["steps"][level]):
                parts[f"step_{step + 1}"] = self._step(level, step)
            chain = layers.Chain(
                parts, condition_channels=self.encoder.condition_channels, dtype=policy
            )
            channels *= 4
            prior: layers.FlowLayer | None = None
            if level == count - 1:
                prior = StandardPrior(dtype=policy)
            elif level < last_split:
                channels //= 2
                prior = GaussianPrior("zero_conv", condition_channels=channels, dtype=policy)
            levels.append((chain, prior))
        return levels

    def make_shift(self) -> layers.FlowLayer | None:
        if not self._config.get("residual"):
            return None
        channels = self.image_shape[-1]
        return layers.ConditionShift(condition_channels=channels, dtype=self.dtype_policy)

    def _transition(self, level: int, step: int) -> layers.Chain:
        policy = self.dtype_policy
        return layers.Chain(
            {
                "actnorm": layers.ActNorm(dtype=policy),
                "conv1x1": self._conv1x1(level, 500 + step),
            },
            dtype=policy,
        )

    def _conv1x1(self, level: int, number: int) -> layers.InvertibleConv1x1:
        seed = self.seed + 1000 * level + number
        return layers.InvertibleConv1x1(layout="packed", seed=seed, dtype=self.dtype_policy)

    def _step(self, level: int, step: int) -> layers.Chain:
        policy = self.dtype_policy
        conditioned = {"condition_channels": self.encoder.condition_channels, "dtype": policy}
        width = self._by_level["width"][level]
        floor = self._config["scale_floor"]
        parts: dict[str, layers.FlowLayer] = {
            "actnorm": layers.ActNorm(dtype=policy),
            "conv1x1": self._conv1x1(level, step),
            "injector": layers.AffineInjector(
                ActNormConvNet(width, dtype=policy), scale_floor=floor, **conditioned
            ),
            "coupling": layers.AffineCoupling(
                ActNormConvNet(width, dtype=policy),
                scale="sigmoid",
                scale_floor=floor,
                **conditioned,
            ),
        }
        own: dict[str, Any] = {"dtype": policy}
        if self._config["attention_condition"]:
            own = dict(conditioned)
        if self._config["attention"] == "imap":
            own["bias"] = "channel"
        grid = self._by_level["grid"][level]
        seed = self.seed + 1000 * level + step
        parts = with_attention(parts, self._config, grid, seed, **own)
        return layers.Chain(parts, **conditioned)

    # --- Keras ---------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Log-probability in nats, ``(n,)``, of ``{"image", "condition"}``."""
        log_prob = super().call(inputs, training=training)
        if training:
            # Keras warns of weights that the loss does not reach.
            unused = [ops.sum(ops.cast(w, log_prob.dtype)) for w in self.unused_in_loss()]
            log_prob = log_prob + 0.0 * sum(unused)
        return log_prob

    # --- the condition -------------------------------------------------------------------

    def traced_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of low-resolution images, one for each level, from the largest."""
        x = ops.cast(condition, self.variable_dtype) / 255.0
        doublings = int(math.log2(self.scale))
        wanted = [doublings - level for level in range(1, self._config["levels"] + 1)]
        residual = self._config.get("residual", False)
        maps = self.encoder.encode(x, wanted, restore=residual)
        if residual:
            # Grey levels 0 to 255 of the restoration, at the middle of each.
            mean = (self._restoration(maps[-1], x) * 255.0 + 0.5) / 256.0 - 0.5
            maps = (*maps[:-1], ops.stop_gradient(mean))
        return tuple(ops.cast(feature, self.variable_dtype) for feature in maps)

    def training_features(self, features: Any, noise: StepNoise) -> Any:
        """Features through which gradients flow to the encoder once it is free."""
        fixed = tuple(ops.stop_gradient(feature) for feature in features)
        if self._config.get("residual"):
            return fixed
        frozen_until = self.training_settings.freeze_steps
        if not frozen_until:
            return features
        free = ops.cast(ops.greater_equal(noise.step, frozen_until), self.variable_dtype)
        return tuple(f + free * (g - f) for f, g in zip(fixed, features, strict=True))

    def training_noise(self, u: Tensor) -> Tensor:
        levels = self._config["noise_levels"]
        return 0.5 + (u - 0.5) * (0.0 if levels is None else 256.0 / levels)

    def regress(self, condition: Any, batch_size: int = 64) -> np.ndarray:
        """The encoder's own restoration, uint8: the result of L1 training."""
        condition = self._checked(condition)
        run = self._compiled_methods.run
        x = run("regress", self.traced_regress, (condition,), batch_size)
        return np.clip(np.round(ops.convert_to_numpy(x) * 255.0), 0, 255).astype("uint8")

    def traced_regress(self, condition: Tensor) -> Tensor:
        """The same as floats in [0, 1], for graphs."""
        small = ops.cast(condition, self.variable_dtype) / 255.0
        return self._restoration(self.encoder(small), small)

    def _restoration(self, x: Tensor, small: Tensor) -> Tensor:
        """The encoder's output as a restoration, floats in [0, 1] but for overshoots."""
        x = ops.cast(x, self.variable_dtype)
        return consistent(x, small, self.scale) if self._config.get("residual") else x

    def unused_in_loss(self) -> list[Any]:
        """Weights of the encoder that the likelihood doesn't train."""
        encoder = self.encoder
        if self._config.get("residual"):
            return encoder.trainable_variables
        # Those of its own restoration alone.
        last_up = getattr(encoder, f"conv_up_{encoder.doublings - 1}")
        parts = (last_up, encoder.conv_high, encoder.conv_out)
        return [variable for part in parts for variable in part.trainable_variables]

    def _check_features(self, features: tuple) -> None:
        channels = [self.encoder.condition_channels] * self._config["levels"]
        if self._config.get("residual"):
            channels.append(self.image_shape[-1])
        shapes = [tuple(feature.shape) for feature in features]
        if [shape[-1] if len(shape) == 4 else None for shape in shapes] != channels:
            raise ValueError(
                f"condition must be low-resolution images, or the {len(channels)} feature maps "
                f"of {channels} channels that encode_condition gives; got shapes {shapes}"
            )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("preprocess")
        return config
