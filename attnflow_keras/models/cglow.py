"""C-Glow, label to photo: one Glow of photos whose layers read the label map itself."""

from typing import Any, ClassVar

import keras

from attnflow_keras import layers
from attnflow_keras.bijectors import Squeeze
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import counts_by_level
from attnflow_keras.models.glow import check_levels
from attnflow_keras.models.label_flow import LabelFlow
from attnflow_keras.networks import ResizedConditionNet, StridedVectorNet
from attnflow_keras.ops.numerics import SCALE_FLOOR, check_scale_floor
from attnflow_keras.priors import GaussianPrior, StandardPrior

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class CGlow(LabelFlow):
    """Flow of photos given label maps (C-Glow, arXiv:1905.13288), a baseline of the paper.

    The parameters of actnorm, 1x1 convolution and coupling of every step are computed from the
    label map by separate networks, with outputs between -1 and 1 (tanh). At 256x256 it has 70.08
    million parameters with the options of version 1 (``levels=3, steps=8, condition_units=26,
    condition_width=52, width=104``) and 76.43 million with those of version 2 (``levels=4,
    steps=16, condition_units=10, condition_width=20, width=512``). The reference's totals, 70.17
    and 76.48, include a top prior that its code never uses; ``learn_top=True`` adds it.

    The 1x1 convolution is that of :class:`ConditionalConv1x1`, as many parameters as the
    reference's free matrix, which may be singular.

    An argument marked "by level" takes one value for all levels or a list with one per level.

    >>> flow = models.CGlow((16, 16, 3), levels=1, steps=1, width=8)
    >>> flow.sample(1, condition=np.zeros((1, 16, 16, 3), "uint8"), seed=0).shape
    (1, 16, 16, 3)

    Args:
        image_shape: ``(height, width, 3)`` of photos; both sides divisible by ``2 ** levels`` and
            by 8.
        levels: number of levels.
        steps: steps, by level.
        width: hidden channels of the couplings, by level.
        condition_width: filters of the networks for actnorm and 1x1 convolution.
        condition_units: units of their dense layers.
        learn_top: learn mean and log-sd of every top latent, rather than N(0, I).
        palette: colour of each class, ``(classes, 3)`` of 0 to 255; label maps are then classes
            ``(n, h, w)``, or colours. None: colours ``(n, h, w, 3)`` only.
        scale_floor: smallest scale of couplings, see :class:`AffineCoupling`; 0 is the
            reference's.
        **kwargs: arguments of :class:`Flow`.
    """

    absent: ClassVar[dict[str, Any]] = {**LabelFlow.absent, "scale_floor": 0.0}

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (256, 256, 3),
        levels: int = 3,
        steps: int | list[int] = 8,
        width: int | list[int] = 104,
        condition_width: int = 52,
        condition_units: int = 26,
        learn_top: bool = False,
        palette: Any = None,
        scale_floor: float = SCALE_FLOOR,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, palette=palette, **kwargs)
        check_levels(levels, self.float_shape)
        counts_by_level("steps", steps, levels)
        counts_by_level("width", width, levels)
        self._config = {
            "levels": levels,
            "steps": plain(steps),
            "width": plain(width),
            "condition_width": condition_width,
            "condition_units": condition_units,
            "learn_top": bool(learn_top),
            "scale_floor": check_scale_floor(scale_floor),
        }
        self.build()

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy = self.dtype_policy
        count, channels = self._config["levels"], self.float_shape[-1]
        steps = counts_by_level("steps", self._config["steps"], count)
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        for level in range(count):
            parts: dict[str, layers.FlowLayer] = {"squeeze": layers.Squeeze(dtype=policy)}
            for step in range(steps[level]):
                parts[f"step_{step + 1}"] = self._step(level, step)
            condition_channels = self._condition_channels(level)
            chain = layers.Chain(parts, condition_channels=condition_channels, dtype=policy)
            channels *= 2
            prior: layers.FlowLayer
            if level < count - 1:
                prior = GaussianPrior("tanh", condition_channels=channels, dtype=policy)
            elif self._config["learn_top"]:
                prior = GaussianPrior("element", dtype=policy)
            else:
                prior = StandardPrior(dtype=policy)
            levels.append((chain, prior))
        return levels

    def _step(self, level: int, step: int) -> layers.Chain:
        policy = self.dtype_policy
        channels, factor = self._condition_channels(level), 2 ** (level + 1)
        own = {"condition_channels": channels, "dtype": policy}
        width = counts_by_level("width", self._config["width"], self._config["levels"])[level]
        coupling = ResizedConditionNet(width, channels, factor, dtype=policy)
        parts: dict[str, layers.FlowLayer] = {
            "actnorm": layers.ConditionalActNorm(self._vector_net(factor), **own),
            "conv1x1": layers.ConditionalConv1x1(
                self._vector_net(factor, last_stddev=0.1),
                layout="packed",
                seed=self.seed + 1000 * level + step,
                **own,
            ),
            "coupling": layers.AffineCoupling(
                coupling, scale="sigmoid", scale_floor=self._config["scale_floor"], **own
            ),
        }
        return layers.Chain(parts, **own)

    def _vector_net(self, factor: int, last_stddev: float = 0.0) -> StridedVectorNet:
        return StridedVectorNet(
            self._config["condition_width"],
            self._config["condition_units"],
            factor,
            last_stddev,
            dtype=self.dtype_policy,
        )

    def _condition_channels(self, level: int) -> int:
        return self.image_shape[-1] * 4 ** (level + 1)

    # --- the condition -------------------------------------------------------------------

    def traced_condition(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Label maps as images, squeezed to the size of each level's map."""
        x = self.label_floats(condition)
        return tuple(
            Squeeze(2 ** (level + 1)).forward_and_log_det(x)[0]
            for level in range(self._config["levels"])
        )
