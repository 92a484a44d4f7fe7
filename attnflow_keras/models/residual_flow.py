"""Residual Flow: layers that are invertible because their branches are contractions."""

from typing import Any

import keras

from attnflow_keras import layers
from attnflow_keras.core.checks import check_choice, check_flag, check_integer
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import counts_by_level
from attnflow_keras.flow.flow import Flow
from attnflow_keras.layers.chain import calling
from attnflow_keras.networks import ContractiveAttention, ContractiveConvNet, ContractiveNet
from attnflow_keras.networks.contractive_attention import KINDS
from attnflow_keras.ops.image_signs import ImageSigns
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.priors import StandardPrior

Tensor = Any

# Arguments of every residual layer.
SERIES = ("terms", "probes", "certain_terms", "survival", "tolerance")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ResidualFlow(Flow):
    """Residual Flow (arXiv:1906.02735), by layers ``x + g(x)`` with contractions g.

    Level 1 works on the image; each further level first squeezes the map. A level has ``blocks``
    times actnorm and a :class:`ContractiveResidual` of convolutions. The last level is followed by
    ``dense_blocks``, whose branches read all values of a map. No channels leave before the end
    unless ``split``. With ``attention``, level 1 ends with a :class:`ContractiveAttention`, where
    Zha et al. have their invertible attention.

    **All scores are estimates.** log p includes the log-determinants of the residual layers: power
    series that are truncated after ``terms`` terms, with traces estimated by ``probes`` random
    vectors. The vectors are a hash of the image, so that a score is a function of the image and the
    errors of different images are independent. Apart from the truncation, the mean over many images
    is unbiased. ``probes=None`` computes exact traces with one Jacobian product per value of the
    image, for small images. In training the estimate is unbiased.

    Decoding is a fixed-point iteration in each layer. The defaults are the paper's, for images with
    sides divisible by 4; its branches are bounded by ``0.98 ** 3``.

    >>> flow = models.ResidualFlow((4, 4, 1), levels=2, blocks=1, width=4, dense_blocks=0)
    >>> flow.sample(1, seed=0).shape
    (1, 4, 4, 1)

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``2 ** (levels - 1)``.
        levels: number of levels.
        blocks: residual layers of a level; one number, or a list with one per level.
        width: hidden channels of the convolutions; one number, or a list with one per level.
        dense_blocks: residual layers over all values at the top.
        dense_width: their hidden channels.
        attention: ``"dot"`` (Zha's iDP) or ``"concat"`` (iCon), in a form that is provably a
            contraction; None for none.
        lipschitz: upper bound of the branches' Lipschitz constants.
        margin: of the logit at the front, see :class:`Logit`; 1e-6 on MNIST, else 0.05. None
            for no logit.
        split: let half of the channels become latents after every level.
        terms: terms of the series outside of training, see :class:`ContractiveResidual`.
        probes: random vectors of a trace outside of training, None for exact traces.
        certain_terms: terms in training that are always there.
        survival: probability of each further one.
        tolerance: of the inverse, relative; 16 units of rounding unless given.
        **kwargs: arguments of :class:`Flow`.
    """

    not_exported = (
        "its log_prob is an estimate with random vectors, which no graph of an export draws as "
        "Keras does"
    )

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 3,
        blocks: int | list[int] = 16,
        width: int | list[int] = 512,
        dense_blocks: int = 4,
        dense_width: int = 128,
        *,
        attention: str | None = None,
        lipschitz: float = 0.98**3,
        margin: float | None = 0.05,
        split: bool = False,
        terms: int = 20,
        probes: int | None = 1,
        certain_terms: int = 2,
        survival: float = 0.5,
        tolerance: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, **kwargs)
        multiple = 2 ** (check_integer("levels", levels) - 1)
        height, width_, _ = self.float_shape
        if height % multiple or width_ % multiple:
            raise ValueError(
                f"image_shape must have sides divisible by {multiple} ({levels} levels); got "
                f"{self.float_shape}"
            )
        if check_integer("dense_blocks", dense_blocks, 0) and height != width_:
            raise ValueError(
                "dense_blocks take square images, others need dense_blocks=0; got images of "
                f"{height}x{width_}"
            )
        if check_flag("split", split) and levels > 1 and self.float_shape[-1] < 2:
            raise ValueError(
                "split needs images of at least 2 channels, half of which leave after level 1; got "
                f"{self.float_shape}"
            )
        counts_by_level("blocks", blocks, levels)
        counts_by_level("width", width, levels)
        self._config = {
            "levels": levels,
            "blocks": plain(blocks),
            "width": plain(width),
            "dense_blocks": dense_blocks,
            "dense_width": check_integer("dense_width", dense_width),
            "attention": check_choice("attention", attention, (None, *KINDS)),
            "lipschitz": lipschitz,
            "margin": margin,
            "split": split,
            "terms": terms,
            "probes": probes,
            "certain_terms": certain_terms,
            "survival": survival,
            "tolerance": tolerance,
        }
        self.build()

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy, config = self.dtype_policy, self._config
        count = config["levels"]
        blocks = counts_by_level("blocks", config["blocks"], count)
        widths = counts_by_level("width", config["width"], count)
        levels: list[tuple[layers.FlowLayer, layers.FlowLayer | None]] = []
        for level in range(count):
            parts: dict[str, layers.FlowLayer] = {}
            if level:
                parts["squeeze"] = layers.Squeeze(dtype=policy)
            elif config["margin"] is not None:
                parts["logit"] = layers.Logit(config["margin"], dtype=policy)
            for block in range(blocks[level]):
                number = 1000 * level + block
                parts[f"block_{block + 1}"] = self._block(self._convs(widths[level]), number)
            if not level and config["attention"]:
                network = ContractiveAttention(
                    config["attention"], config["lipschitz"], dtype=policy
                )
                parts["attention"] = self._block(network, 999)
            last = level == count - 1
            if last and config["dense_blocks"]:
                side = self.float_shape[0] // 2**level
                if side > 1:
                    parts["flatten"] = layers.Squeeze(side, dtype=policy)
                for block in range(config["dense_blocks"]):
                    number = 1000 * count + block
                    network = self._convs(config["dense_width"], (1, 1, 1))
                    parts[f"dense_{block + 1}"] = self._block(network, number)
            prior = StandardPrior(dtype=policy) if last or config["split"] else None
            levels.append((layers.Chain(parts, dtype=policy), prior))
        return levels

    def _convs(self, width: int, kernels: tuple[int, ...] = (3, 1, 3)) -> ContractiveNet:
        bound = self._config["lipschitz"]
        return ContractiveConvNet(width, bound, kernels, dtype=self.dtype_policy)

    def _block(self, network: ContractiveNet, number: int) -> layers.Chain:
        policy = self.dtype_policy
        series = {name: self._config[name] for name in SERIES}
        residual = layers.ContractiveResidual(
            network, **series, seed=self.seed + number, dtype=policy
        )
        return layers.Chain(
            {"actnorm": layers.ActNorm(dtype=policy), "residual": residual}, dtype=policy
        )

    def traced_encode(
        self, x: Tensor, features: Any = None, noise: StepNoise | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Latents and log-determinant of float images; the latter an estimate, see the class."""
        if noise is not None or self._config["probes"] is None:
            return super().traced_encode(x, features, noise)
        # Not noise of training; no layer of this flow has dropout.
        signs: Any = ImageSigns(x)
        return self.multi_scale.encode(x, features, calling(signs))

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Flow.encode`; ``log_det`` is an estimate, see :class:`ResidualFlow`."""
        return super().encode(*args, **kwargs)

    def log_prob(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Flow.log_prob`, but an estimate, see :class:`ResidualFlow`."""
        return super().log_prob(*args, **kwargs)

    def bits_per_dim(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Flow.bits_per_dim`, but an estimate, see :class:`ResidualFlow`."""
        return super().bits_per_dim(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Flow.predict`, but an estimate, see :class:`ResidualFlow`."""
        return super().predict(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Flow.evaluate`, but an estimate, see :class:`ResidualFlow`."""
        return super().evaluate(*args, **kwargs)
