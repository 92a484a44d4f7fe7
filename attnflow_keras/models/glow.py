"""Glow, unconditional; in Full-Glow it reads the condition."""

from typing import Any

import keras

from attnflow_keras import layers
from attnflow_keras.models.arguments import (
    check_grids,
    check_options,
    counts_by_level,
    grids_by_level,
    plain,
)
from attnflow_keras.models.attentions import check_attention, with_attention
from attnflow_keras.models.flow import Flow
from attnflow_keras.networks import GlowConvNet
from attnflow_keras.priors import GaussianPrior

# What the model sets itself of its conditioners.
OWN = ("width", "condition_channels", "out_channels")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class Glow(Flow):
    """Glow (arXiv:1807.03039) with the details of Full-Glow's source network.

    A level squeezes the map and takes ``steps`` steps of actnorm, 1x1 convolution and affine
    coupling, with one attention in each at ``position``. Scales of couplings are
    ``sigmoid(raw + 2)``; the last convolutions of networks and priors pad with ones.

    An argument marked "by level" takes one value for all levels or a list with one a level.

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``2 ** levels``.
        levels: number of levels.
        steps: steps, by level.
        width: hidden channels of the conditioners, by level.
        conditioner_options: further arguments of :class:`GlowConvNet`.
        attention: None, ``"imap"`` or ``"itrans"``.
        position: where the attention stands in a step: 1 before actnorm, 2 after it, 3 after
            the 1x1 convolution, 4 after the coupling.
        mask: mask of the attention, see ``attnflow_keras.masks``.
        heads: heads of iTrans.
        grid: ``(rows, columns)`` of cells of iTrans, by level.
        attention_options: further arguments of the attention.
        **kwargs: arguments of :class:`Flow`.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 3,
        steps: int | list[int] = 32,
        width: int | list[int] = 512,
        conditioner_options: dict[str, Any] | None = None,
        attention: str | None = None,
        position: int = 4,
        mask: str = "spatial_channel",
        heads: int = 1,
        grid: Any = (2, 2),
        attention_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, **kwargs)
        check_attention(attention, position, mask, heads, attention_options)
        check_options("conditioner_options", conditioner_options, GlowConvNet, OWN)
        check_levels(levels, self.float_shape)
        self._config = {
            "levels": levels,
            "steps": plain(steps),
            "width": plain(width),
            "conditioner_options": dict(conditioner_options or {}),
            "attention": attention,
            "position": position,
            "mask": mask,
            "heads": heads,
            "grid": plain(grid),
            "attention_options": dict(attention_options or {}),
        }
        self._by_level: dict[str, Any] = {
            "steps": counts_by_level("steps", steps, levels),
            "width": counts_by_level("width", width, levels),
            "grid": grids_by_level(grid, levels),
        }
        if attention == "itrans":
            check_grids(self._by_level["grid"], self.float_shape)
        self.build()

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy = self.dtype_policy
        count, channels = self._config["levels"], self.float_shape[-1]
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        for level in range(count):
            channels *= 4
            parts: dict[str, layers.FlowLayer] = {"squeeze": layers.Squeeze(dtype=policy)}
            for step in range(self._by_level["steps"][level]):
                parts[f"step_{step + 1}"] = self._step(level, step)
            chain = layers.Chain(parts, dtype=policy)
            kept = 0 if level == count - 1 else channels // 2
            prior = GaussianPrior("one_padded", condition_channels=kept, dtype=policy)
            levels.append((chain, prior))
            channels //= 2
        return levels

    def _step(self, level: int, step: int) -> layers.Chain:
        policy = self.dtype_policy
        seed = self.seed + 1000 * level + step
        network = GlowConvNet(
            self._by_level["width"][level], dtype=policy, **self._config["conditioner_options"]
        )
        parts: dict[str, layers.FlowLayer] = {
            "actnorm": layers.ActNorm(dtype=policy),
            "conv1x1": layers.InvertibleConv1x1(seed=seed, dtype=policy),
            "coupling": layers.AffineCoupling(network, scale="sigmoid", dtype=policy),
        }
        grid = self._by_level["grid"][level]
        parts = with_attention(parts, self._config, grid, seed, dtype=policy)
        return layers.Chain(parts, dtype=policy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}


def check_levels(levels: Any, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless ``levels`` is a number of levels that the map can be squeezed to."""
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise ValueError(f"levels must be an integer of at least 1; got {levels!r}")
    multiple = 2**levels
    if shape[0] % multiple or shape[1] % multiple:
        raise ValueError(
            f"image_shape must have sides divisible by {multiple} ({levels} levels); got {shape}"
        )
