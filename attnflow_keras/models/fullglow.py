"""Full-Glow, label to photo: a Glow of photos that reads a Glow of labels at every step."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import layers
from attnflow_keras.models import inputs as checks
from attnflow_keras.models.arguments import (
    check_grids,
    choose,
    counts_by_level,
    grids_by_level,
    plain,
)
from attnflow_keras.models.attentions import check_attention, with_attention
from attnflow_keras.models.flow import Flow
from attnflow_keras.models.glow import Glow, check_levels
from attnflow_keras.models.palette import as_palette, check_labels, colours
from attnflow_keras.networks import GlowConvNet, MapToVectorNet
from attnflow_keras.numerics import LN2
from attnflow_keras.priors import GaussianPrior
from attnflow_keras.step_noise import step_uniform

Tensor = Any

# Maps of the source that a step of the target reads: after actnorm, after the 1x1 convolution,
# and after the whole step.
MAPS = 3
# Keeps the noise of labels apart from that of photos.
SOURCE_SEED = 7919


@keras.saving.register_keras_serializable(package="attnflow_keras")
class FullGlow(Flow):
    """Flow of photos given label maps (Full-Glow, arXiv:2012.05846; paper, section 5).

    A source Glow of the label map, as a picture, stands beside the target Glow of the photo,
    with as many levels and steps. Actnorm, 1x1 convolution and coupling of a target step get
    their parameters from the source's map behind the same layer; there is a matrix of its own
    for each sample. The condition is deterministic: labels get noise only in the source's own
    likelihood, which ``fit`` adds with a weight of ``source_weight``.

    With the reference's options (256x256, ``levels`` and ``steps`` 4/16 or 2/8) it has
    155,335,008 or 34,654,752 parameters. Its networks for actnorm and 1x1 convolution are tied to
    the size of the maps.

    An argument marked "by level" takes one value for all levels or a list with one a level.

    Args:
        image_shape: ``(height, width, 3)`` of photos; both sides divisible by ``2 ** levels``.
        levels: number of levels.
        steps: steps, by level.
        width: hidden channels of the couplings, by level.
        condition_width: hidden channels of the couplings' branch for the condition.
        palette: colour of each class, ``(classes, 3)`` of 0 to 255; label maps are then classes
            ``(n, h, w)``, or colours. None: colours ``(n, h, w, 3)`` only.
        attention: None, ``"imap"`` or ``"itrans"``.
        attention_in: ``"target"``, or ``"both"`` for the source as well.
        position: where the attention stands in a step: 1 before actnorm, 2 after it, 3 after
            the 1x1 convolution, 4 after the coupling.
        mask: mask of the attention, see ``attnflow_keras.masks``.
        heads: heads of iTrans.
        grid: ``(rows, columns)`` of cells of iTrans, by level.
        attention_options: further arguments of the attention.
        source_weight: weight of the source's bits per dimension in the loss of ``fit``.
        **kwargs: arguments of :class:`Flow`.
    """

    conditional = True
    condition_dtype = "uint8"

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (256, 256, 3),
        levels: int = 4,
        steps: int | list[int] = 16,
        width: int | list[int] = 512,
        condition_width: int = 128,
        palette: Any = None,
        attention: str | None = None,
        attention_in: str = "target",
        position: int = 4,
        mask: str = "spatial_channel",
        heads: int = 1,
        grid: Any = (2, 2),
        attention_options: dict[str, Any] | None = None,
        source_weight: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, **kwargs)
        if self.image_shape[-1] != 3:
            raise ValueError(f"image_shape must have 3 channels, as labels do; got {image_shape}")
        check_attention(attention, position, mask, heads, attention_options)
        choose("attention_in", attention_in, ("target", "both"))
        check_levels(levels, self.float_shape)
        number = isinstance(source_weight, int | float) and not isinstance(source_weight, bool)
        if not number or not 0 <= source_weight < float("inf"):
            raise ValueError(f"source_weight must be a number of at least 0; got {source_weight!r}")
        self.palette = as_palette(palette)
        self._config = {
            "levels": levels,
            "steps": plain(steps),
            "width": plain(width),
            "condition_width": condition_width,
            "palette": None if self.palette is None else self.palette.tolist(),
            "attention": attention,
            "attention_in": attention_in,
            "position": position,
            "mask": mask,
            "heads": heads,
            "grid": plain(grid),
            "attention_options": dict(attention_options or {}),
            "source_weight": float(source_weight),
        }
        self._by_level: dict[str, Any] = {
            "steps": counts_by_level("steps", steps, levels),
            "width": counts_by_level("width", width, levels),
            "grid": grids_by_level(grid, levels),
        }
        if attention == "itrans":
            check_grids(self._by_level["grid"], self.float_shape)
        self.condition_shape = self.image_shape[:2] if palette is not None else self.image_shape
        self.build()

    def build(self, input_shape: Any = None) -> None:
        if getattr(self, "built", False):
            return
        shared = ("levels", "steps", "width")
        options = {key: self._config[key] for key in shared}
        if self._config["attention_in"] == "both":
            keys = ("attention", "position", "mask", "heads", "grid", "attention_options")
            options |= {key: self._config[key] for key in keys}
        self.source = Glow(
            self.image_shape,
            seed=self.seed + SOURCE_SEED,
            dtype=self.dtype_policy,
            name="source",
            **options,
        )
        super().build(input_shape)

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
            chain = layers.Chain(parts, condition_channels=MAPS * steps * channels, dtype=policy)
            kept = 0 if level == count - 1 else channels // 2
            prior = GaussianPrior("one_padded", condition_channels=kept, dtype=policy)
            levels.append((chain, prior))
            channels //= 2
        return levels

    def _step(self, level: int, step: int, channels: int) -> layers.Chain:
        policy = self.dtype_policy
        own = {"condition_channels": channels, "dtype": policy}
        seed = self.seed + 1000 * level + step
        network = GlowConvNet(
            self._by_level["width"][level],
            channels,
            condition_width=self._config["condition_width"],
            dtype=policy,
        )
        conditional = {
            "actnorm": layers.ConditionalActNorm(MapToVectorNet(dtype=policy), **own),
            "conv1x1": layers.ConditionalConv1x1(MapToVectorNet(dtype=policy), seed=seed, **own),
            "coupling": layers.AffineCoupling(network, scale="sigmoid", **own),
        }
        total = MAPS * self._by_level["steps"][level] * channels
        parts: dict[str, layers.FlowLayer] = {
            name: layers.ConditionSlice(
                layer, (MAPS * step + i) * channels, condition_channels=total, dtype=policy
            )
            for i, (name, layer) in enumerate(conditional.items())
        }
        grid = self._by_level["grid"][level]
        parts = with_attention(parts, self._config, grid, seed, dtype=policy)
        return layers.Chain(parts, condition_channels=total, dtype=policy)

    # --- Keras ---------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Log-probability in nats, ``(n,)``, of ``{"image", "condition"}``."""
        if training and self._config["source_weight"]:
            self.add_loss(self._config["source_weight"] * self._source_bits(inputs))
        return super().call(inputs, training=training)

    def _source_bits(self, inputs: Any) -> Tensor:
        """Mean bits per dimension of the label maps under the source."""
        labels = self._colours(checks.unpack(inputs)["condition"])
        step = self.optimizer.iterations if getattr(self, "optimizer", None) is not None else 0
        seed = self.noise_seed + SOURCE_SEED
        u = step_uniform(ops.shape(labels), seed, step, self.variable_dtype)
        x = checks.float_images(labels, u, self.variable_dtype)
        return 8.0 - ops.mean(self.source.traced_log_prob(x)) / (self.num_dims * LN2)

    def adapt(self, batch: Any, seed: int = 0) -> None:
        given = checks.unpack(batch)
        self._check_condition(given["condition"])
        if not self.source.is_adapted:
            self.source.adapt(ops.convert_to_numpy(self._colours(given["condition"])), seed)
        super().adapt(batch, seed)

    # --- the condition -------------------------------------------------------------------

    def traced_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Maps of the source for label maps: one tensor a level, all steps side by side."""
        x = checks.float_images(self._colours(condition), 0.5, self.variable_dtype)
        features = []
        for chain, _ in self.source.levels():
            maps: list[Tensor] = []
            squeeze, *steps = chain.steps()
            x, _ = squeeze(x)
            for step in steps:
                for name, part in zip(step.order, step.steps(), strict=True):
                    x, _ = part(x)
                    if name in ("actnorm", "conv1x1"):
                        maps.append(x)
                maps.append(x)
            features.append(ops.concatenate(maps, axis=-1))
            x = x[..., : x.shape[-1] // 2]
        return tuple(features)

    def level_condition(self, features: Any, level: int) -> Tensor:
        return features[level]

    def transfer(
        self,
        photo: np.ndarray,
        label: np.ndarray,
        new_label: np.ndarray,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Keep a photo's latents and change its label (Full-Glow, section 4.3).

        Args:
            photo: uint8 ``(n, h, w, 3)``.
            label: its label maps.
            new_label: the label maps to show instead.
            batch_size: greatest number of photos at a time.

        Returns:
            uint8 ``(n, h, w, 3)``.
        """
        latents, _ = self.encode(self.dequantize(photo, center=True), label, batch_size)
        latents = tuple(ops.convert_to_numpy(z) for z in latents)
        return self._quantize_images(self.decode(latents, new_label, batch_size))

    def _colours(self, labels: Any) -> Any:
        return colours(labels, self.palette)

    def _check_condition(self, condition: Any) -> None:
        super()._check_condition(condition)
        if condition is None or isinstance(condition, tuple):
            return
        check_labels(condition, self.image_shape, self.palette)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **self._config}
        config.pop("preprocess")
        return config
