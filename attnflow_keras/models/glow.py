"""Glow, unconditional; in Full-Glow it reads the condition."""

from typing import Any, ClassVar

import keras

from attnflow_keras import layers
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import (
    check_options,
    counts_by_level,
)
from attnflow_keras.flow.attentions import StepAttention, accepts_attention, with_attention
from attnflow_keras.flow.flow import Flow
from attnflow_keras.networks import ActNormConvNet, GlowConvNet
from attnflow_keras.ops.numerics import SCALE_FLOOR, check_scale_floor
from attnflow_keras.priors import GaussianPrior, LearnedTopPrior, StandardPrior

# What the model sets itself of its conditioners.
OWN = ("width", "condition_channels", "out_channels", "edges")

CONDITIONERS: dict[str, Any] = {"fullglow": GlowConvNet, "dualglow": ActNormConvNet}


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_attention(after="conditioner_options")
class Glow(Flow):
    """Glow (arXiv:1807.03039), with the details of Full-Glow's source network or Dual-Glow's.

    A level squeezes the map and takes ``steps`` steps of actnorm, 1x1 convolution and affine
    coupling, with one attention in each at ``position``. Scales of couplings are
    ``sigmoid(raw + 2)``.

    An argument marked "by level" takes one value for all levels or a list with one per level.

    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)
    >>> flow.sample(1, seed=0).shape
    (1, 8, 8, 1)

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``2 ** levels``.
        levels: number of levels.
        steps: steps, by level.
        width: hidden channels of the conditioners, by level.
        variant: ``"fullglow"``: conditioners :class:`GlowConvNet`, split priors from the half that
            goes on; the last convolutions of both pad with ones. ``"dualglow"``: conditioners
            :class:`ActNormConvNet`, which mark the border as Glow's own code does, standard
            normal split priors, 1x1 convolutions in one matrix each.
        conditioner_options: further arguments of the conditioners.
        <attention>
        scale_floor: smallest scale of couplings, see :class:`AffineCoupling`; 0 is Glow's own.
        allow_constant: see :class:`ActNorm`; for flows of label maps.
        **kwargs: arguments of :class:`Flow`.
    """

    absent: ClassVar[dict[str, Any]] = {**Flow.absent, "scale_floor": 0.0}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 3,
        steps: int | list[int] = 32,
        width: int | list[int] = 512,
        variant: str = "fullglow",
        conditioner_options: dict[str, Any] | None = None,
        *,
        scale_floor: float = SCALE_FLOOR,
        allow_constant: bool = False,
        **kwargs: Any,
    ) -> None:
        attention = StepAttention.take(kwargs)
        super().__init__(image_shape, **kwargs)
        check_choice("variant", variant, tuple(CONDITIONERS))
        check_options("conditioner_options", conditioner_options, CONDITIONERS[variant], OWN)
        check_levels(levels, self.float_shape)
        self._config = {
            "levels": levels,
            "steps": plain(steps),
            "width": plain(width),
            "variant": variant,
            "conditioner_options": dict(conditioner_options or {}),
            **attention.to_config(),
            "scale_floor": check_scale_floor(scale_floor),
            **({"allow_constant": True} if allow_constant else {}),
        }
        attention.grids(levels, self.float_shape)
        self.build()

    @property
    def structure(self) -> dict[str, Any]:
        """The arguments that :func:`glow_chains` reads."""
        return self._config

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy = self.dtype_policy
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        channels = self.float_shape[-1]
        for chain in glow_chains(self._config, self.seed, policy):
            channels *= 2
            kept = channels if len(levels) < self._config["levels"] - 1 else 0
            prior: layers.FlowLayer
            if self._config["variant"] == "fullglow":
                prior = GaussianPrior("one_padded", condition_channels=kept, dtype=policy)
            else:
                prior = (StandardPrior if kept else LearnedTopPrior)(dtype=policy)
            levels.append((chain, prior))
        return levels


def glow_chains(config: dict[str, Any], seed: int, policy: Any) -> list[layers.Chain]:
    """The squeeze and the steps of each level.

    Args:
        config: ``levels``, ``steps``, ``width``, ``variant``, ``conditioner_options``,
            ``scale_floor``, perhaps ``allow_constant`` of :class:`Glow`, and what
            :func:`with_attention` needs.
        seed: seed of the rotations and masks.
        policy: dtype policy of the layers.
    """
    levels = config["levels"]
    by_level = zip(
        counts_by_level("steps", config["steps"], levels),
        counts_by_level("width", config["width"], levels),
        StepAttention.take(dict(config)).grids(levels),
        strict=True,
    )
    chains = []
    for level, (steps, width, grid) in enumerate(by_level):
        parts: dict[str, layers.FlowLayer] = {"squeeze": layers.Squeeze(dtype=policy)}
        for step in range(steps):
            number = seed + 1000 * level + step
            parts[f"step_{step + 1}"] = _step(config, width, grid, number, policy)
        chains.append(layers.Chain(parts, dtype=policy))
    return chains


def _step(
    config: dict[str, Any], width: int, grid: tuple[int, int], seed: int, policy: Any
) -> layers.Chain:
    original = config["variant"] == "dualglow"
    options = {"dtype": policy, **config["conditioner_options"]}
    network = (
        ActNormConvNet(width, edges=True, **options) if original else GlowConvNet(width, **options)
    )
    layout = "packed" if original else "full_lu"
    parts: dict[str, layers.FlowLayer] = {
        "actnorm": layers.ActNorm(config.get("allow_constant", False), dtype=policy),
        "conv1x1": layers.InvertibleConv1x1(layout, seed=seed, dtype=policy),
        "coupling": layers.AffineCoupling(
            network, scale="sigmoid", scale_floor=config["scale_floor"], dtype=policy
        ),
    }
    return layers.Chain(with_attention(parts, config, grid, seed, dtype=policy), dtype=policy)


def check_levels(levels: Any, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless ``levels`` is a number of levels that the map can be squeezed to."""
    check_integer("levels", levels)
    multiple = 2**levels
    if shape[0] % multiple or shape[1] % multiple:
        raise ValueError(
            f"image_shape must have sides divisible by {multiple} ({levels} levels); got {shape}"
        )
