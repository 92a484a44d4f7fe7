"""Dual-Glow, label to photo: two Glows that are linked in their priors alone."""

from typing import Any, ClassVar

import keras

from attnflow_keras import layers
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import counts_by_level
from attnflow_keras.models.glow import Glow, check_levels, glow_chains
from attnflow_keras.models.label_flow import SOURCE_SEED, SourcedFlow
from attnflow_keras.ops.numerics import SCALE_FLOOR, check_scale_floor
from attnflow_keras.priors import LinkedPrior

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class DualGlow(SourcedFlow):
    """Flow of photos given label maps (Dual-Glow, arXiv:1908.08074), a baseline of the paper.

    A source Glow of the label map and a target Glow of the photo have the same levels and steps.
    Their only link is that, at each level, a 5x5 convolution of the source's latents is the mean of
    the target's. The reference is for volumes; this is its equivalent for images. With 256x256,
    ``levels`` and ``steps`` of 4/16 it has 75.6 million parameters.

    An argument marked "by level" takes one value for all levels or a list with one per level.

    >>> flow = models.DualGlow((16, 16, 3), levels=1, steps=1, width=8)
    >>> flow.sample(1, condition=np.zeros((1, 16, 16, 3), "uint8"), seed=0).shape
    (1, 16, 16, 3)

    Args:
        image_shape: ``(height, width, 3)`` of photos; both sides divisible by ``2 ** levels``.
        levels: number of levels.
        steps: steps, by level.
        width: hidden channels of the conditioners, by level.
        palette: colour of each class, ``(classes, 3)`` of 0 to 255; label maps are then classes
            ``(n, h, w)``, or colours. None: colours ``(n, h, w, 3)`` only.
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
        palette: Any = None,
        source_weight: float = 1e-3,
        scale_floor: float = SCALE_FLOOR,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, palette=palette, source_weight=source_weight, **kwargs)
        check_levels(levels, self.float_shape)
        counts_by_level("steps", steps, levels)
        counts_by_level("width", width, levels)
        self._config = {
            "levels": levels,
            "steps": plain(steps),
            "width": plain(width),
            "scale_floor": check_scale_floor(scale_floor),
        }
        self.build()

    def make_source(self) -> Glow:
        return Glow(
            self.image_shape,
            variant="dualglow",
            seed=self.seed + SOURCE_SEED,
            dtype=self.dtype_policy,
            name="source",
            allow_constant=True,
            input_bound=self.input_bound,
            **self._config,
        )

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        channels = self.float_shape[-1]
        structure = {**self.source.structure, "allow_constant": False}
        for level, chain in enumerate(glow_chains(structure, self.seed, self.dtype_policy)):
            top = level == self._config["levels"] - 1
            channels *= 4 if top else 2
            prior = LinkedPrior(top, condition_channels=channels, dtype=self.dtype_policy)
            levels.append((chain, prior))
        return levels

    def traced_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Latents of label maps in the source, before its own top prior, one tensor per level."""
        priors = [prior for _, prior in self.source.levels()]

        def passing_priors(layer: Any, x: Tensor, given: Any, inverse: bool) -> Any:
            return (x, 0.0) if layer in priors else layer(x)

        x = self.label_floats(condition)
        return self.source.multi_scale.encode(x, apply=passing_priors)[0]
