"""mARFlow, the unconditional backbone, with the paper's attentions."""

from typing import Any, ClassVar

import keras

from attnflow_keras import layers
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import (
    by_level,
    check_options,
    counts_by_level,
)
from attnflow_keras.flow.attentions import StepAttention, accepts_attention, with_attention
from attnflow_keras.flow.flow import Flow
from attnflow_keras.layers.causal_values import check_bins
from attnflow_keras.layers.invertible_conv import INITS, LAYOUTS
from attnflow_keras.layers.mixture_coupling import (
    COMPONENT_BOUND,
    FINAL_RANGE,
    UNSTATED,
    check_component_bound,
    check_final_range,
)
from attnflow_keras.networks import GatedAttentionNet, GatedConvNet
from attnflow_keras.priors import AutoregressivePrior, GaussianPrior

# Of float images, in [-0.5, 0.5].
IMAGE_SPREAD = 0.5
COUPLINGS = {"mixture": layers.MixtureCoupling, "affine": layers.AffineCoupling}
PRIORS = {"autoregressive": AutoregressivePrior, "gaussian": GaussianPrior}
CONDITIONERS = {"gated_attention": GatedAttentionNet, "gated_conv": GatedConvNet}
# What MARFlow sets itself, so that the options can't.
OWN = {
    "coupling_options": (
        "conditioner",
        "components",
        "input_bound",
        "bins",
        "spread",
        *UNSTATED,
    ),
    "prior_options": ("input_bound",),
    "conditioner_options": ("width", "out_channels"),
}


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_attention(after="width")
class MARFlow(Flow):
    """Multi-scale flow of mixture couplings with invertible attention (paper, section 5).

    Each level squeezes the map and applies ``steps`` steps of actnorm, 1x1 convolution, coupling
    and channel flip, with one attention per step at ``position``. After every level except the
    last, half of the channels become latents, with a prior given the other half.

    The defaults are the paper's backbone (mAR-SCF, arXiv:2003.03891): ``steps`` and ``width``
    of its four sizes are 2/48, 2/96, 4/96 and 4/256. ``conditioner="gated_conv"`` with
    ``prior="gaussian"`` is the small backbone of the pretrained entries.

    The default forms of attentions and couplings are invertible everywhere, also in float32. The
    paper's (``form="paper"``) are not: iTrans is singular where a determinant changes its sign, and
    iMap and the mixture lose precision at extreme inputs; ``flow.diagnose`` reports this. iMap with
    ``mask="spatial"`` and ``pool="channel"`` is invertible, but its weights do not depend on the
    data. The paper's iTrans totals need ``heads=5`` and
    ``attention_options={"expansion": 2}``.

    An argument marked "by level" takes one value for all levels or a list with one per level.

    >>> flow = models.MARFlow(
    ...     (8, 8, 1),
    ...     levels=1,
    ...     steps=1,
    ...     width=8,
    ...     attention="imap",
    ...     conditioner="gated_conv",
    ...     prior="gaussian",
    ... )
    >>> flow.sample(1, seed=0).shape
    (1, 8, 8, 1)

    Args:
        image_shape: ``(height, width, channels)``; both sides, with the padding of
            ``preprocess``, divisible by ``2 ** levels``.
        levels: number of levels, at least 1.
        steps: steps, by level.
        width: hidden channels of the conditioners, by level.
        <attention>
        coupling: ``"mixture"`` or ``"affine"``.
        components: logistics of a mixture coupling, by level.
        coupling_options: further arguments of :class:`MixtureCoupling` (``form``,
            ``log_scale_bound``, ``floor``, ``rescale``, ``numerics``) or :class:`AffineCoupling`
            (``log_scale_bound``), such as ``{"form": "paper"}``. With
            ``conditioner="gated_attention"`` a mixture coupling has ``rescale=True`` unless they
            say otherwise.
        prior: ``"autoregressive"``, a ConvLSTM over the channels, or ``"gaussian"``.
        prior_options: further arguments of :class:`AutoregressivePrior` (``width``,
            ``depth``, ``kernel_size``, ``dilation``) or
            :class:`GaussianPrior` (none), such as ``{"width": 16}``.
        conditioner: ``"gated_attention"`` or ``"gated_conv"``.
        conditioner_options: further arguments of :class:`GatedAttentionNet` (``blocks``,
            ``heads``, ``dropout``, ``out_scale``) or
            :class:`GatedConvNet` (``blocks``, ``out_kernel``,
            ``position_bias``), such as ``{"blocks": 2}``.
        conv_init: start of the 1x1 convolutions, ``"orthogonal"`` or ``"identity"``, by level.
        conv_layout: ``"full_lu"`` or ``"packed"``.
        preprocess: see :class:`Flow`.
        seed: seed of the fixed rotations and masks, and of the noise in ``fit``.
        component_bound: maximum log-scale of a mixture's components, see :class:`MixtureCoupling`.
        final_range: minimum and maximum final log-scale of a mixture coupling, see there.
        bins: grey levels that get a uniform component each. Two more mixture couplings stand in
            front of the first step then, one for each half of the squeezed channels, where grey
            levels are still grey levels: after actnorm and 1x1 convolutions there are none.
        **kwargs: arguments of ``keras.Model``.
    """

    absent: ClassVar[dict[str, Any]] = {**Flow.absent, **UNSTATED}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 3,
        steps: int | list[int] = 4,
        width: int | list[int] = 96,
        *,
        coupling: str = "mixture",
        components: int | list[int] = 32,
        coupling_options: dict[str, Any] | None = None,
        prior: str = "autoregressive",
        prior_options: dict[str, Any] | None = None,
        conditioner: str = "gated_attention",
        conditioner_options: dict[str, Any] | None = None,
        conv_init: str | list[str] = "orthogonal",
        conv_layout: str = "full_lu",
        preprocess: dict[str, int] | None = None,
        seed: int = 0,
        component_bound: float = COMPONENT_BOUND,
        final_range: tuple[float, float] | None = FINAL_RANGE,
        bins: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        attention = StepAttention.take(kwargs)
        super().__init__(image_shape, preprocess=preprocess, seed=seed, **kwargs)
        check_choice("coupling", coupling, COUPLINGS)
        check_choice("prior", prior, PRIORS)
        check_choice("conditioner", conditioner, CONDITIONERS)
        check_integer("levels", levels)
        height, width_, _ = self.float_shape
        if height % 2**levels or width_ % 2**levels:
            fits = next(k for k in range(levels, -1, -1) if not (height % 2**k or width_ % 2**k))
            ways = [f"levels={fits}"] if fits else []
            pad = -height % 2**levels
            if pad == -width_ % 2**levels and pad % 2 == 0:
                ways.append(f'preprocess={{"pad": {self.preprocess.pad + pad // 2}}}')
            raise ValueError(
                f"image_shape {self.float_shape} can't be squeezed {levels} times; height and "
                f"width must be divisible by {2**levels}"
                + (f"; give {' or '.join(ways)}" if ways else "")
            )
        for name, options, kind in (
            ("coupling_options", coupling_options, COUPLINGS[coupling]),
            ("prior_options", prior_options, PRIORS[prior]),
            ("conditioner_options", conditioner_options, CONDITIONERS[conditioner]),
        ):
            check_options(name, options, kind, OWN.get(name, ()))
        self._config = {
            "levels": levels,
            "steps": steps,
            "width": width,
            **attention.to_config(),
            "coupling": coupling,
            "components": components,
            "coupling_options": dict(coupling_options or {}),
            "prior": prior,
            "prior_options": dict(prior_options or {}),
            "conditioner": conditioner,
            "conditioner_options": dict(conditioner_options or {}),
            "conv_init": conv_init,
            "conv_layout": conv_layout,
            "component_bound": check_component_bound(component_bound),
            "final_range": plain(check_final_range(final_range)),
            "bins": list(check_bins(bins)),
        }
        self._by_level = {
            "steps": counts_by_level("steps", steps, levels),
            "width": counts_by_level("width", width, levels),
            "components": counts_by_level("components", components, levels),
            "conv_init": by_level("conv_init", conv_init, levels),
            "grid": attention.grids(levels, self.float_shape),
        }
        for init in self._by_level["conv_init"]:
            check_choice("conv_init", init, INITS)
        check_choice("conv_layout", conv_layout, LAYOUTS)
        if self._config["bins"] and coupling != "mixture":
            raise ValueError(f"bins go with coupling='mixture'; got coupling={coupling!r}")
        self.build()

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        shape = self.float_shape
        count = self._config["levels"]
        for level in range(count):
            height, width, channels = shape[0] // 2, shape[1] // 2, shape[2] * 4
            parts: dict[str, layers.FlowLayer] = {
                "squeeze": layers.Squeeze(dtype=self.dtype_policy)
            }
            if level == 0 and self._config["bins"]:
                for half in ("first", "second"):
                    parts[f"levels_{half}"] = self._coupling(0, self._config["bins"])
                    parts[f"flip_{half}"] = layers.FlipHalves(dtype=self.dtype_policy)
            for step in range(self._by_level["steps"][level]):
                parts[f"step_{step + 1}"] = self._step(level, step)
            last = level == count - 1
            kept = 0 if last else channels // 2
            prior = self._prior(level, last, kept)
            levels.append((layers.Chain(parts, dtype=self.dtype_policy), prior))
            shape = (height, width, kept)
        return levels

    def _step(self, level: int, step: int) -> layers.Chain:
        policy = self.dtype_policy
        parts: dict[str, layers.FlowLayer] = {
            "actnorm": layers.ActNorm(dtype=policy),
            "conv1x1": layers.InvertibleConv1x1(
                layout=self._config["conv_layout"],
                init=self._by_level["conv_init"][level],
                seed=self.seed + 1000 * level + step,
                dtype=policy,
            ),
            "coupling": self._coupling(level),
        }
        grid = self._by_level["grid"][level]
        parts = with_attention(
            parts, self._config, grid, self.seed + 1000 * level + step, dtype=policy
        )
        return layers.Chain({**parts, "flip": layers.FlipHalves(dtype=policy)}, dtype=policy)

    def _coupling(self, level: int, bins: list[int] | None = None) -> layers.FlowLayer:
        paper = self._config["conditioner"] == "gated_attention"
        network = (GatedAttentionNet if paper else GatedConvNet)(
            self._by_level["width"][level],
            dtype=self.dtype_policy,
            **self._config["conditioner_options"],
        )
        options = dict(self._config["coupling_options"])
        if self._config["coupling"] == "affine":
            return layers.AffineCoupling(network, dtype=self.dtype_policy, **options)
        if paper:
            options.setdefault("rescale", True)
        components = self._by_level["components"][level]
        options |= {key: self._config[key] for key in UNSTATED}
        if bins:
            options |= {"bins": tuple(bins), "spread": IMAGE_SPREAD}
        return layers.MixtureCoupling(network, components, dtype=self.dtype_policy, **options)

    def _prior(self, level: int, last: bool, condition_channels: int) -> layers.FlowLayer:
        common = {
            "condition_channels": condition_channels,
            "dtype": self.dtype_policy,
        }
        if self._config["prior"] == "gaussian":
            return GaussianPrior(**common, **self._config["prior_options"])
        # mAR-SCF: wide kernels on large maps, spread out on the largest.
        shape = {"kernel_size": 3 if last else 5, "dilation": 2 if level == 0 and not last else 1}
        return AutoregressivePrior(**{**common, **shape, **self._config["prior_options"]})
