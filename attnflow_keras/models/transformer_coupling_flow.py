"""TransformerCouplingFlow, attention that is one pass in both directions."""

from typing import Any

import keras

from attnflow_keras import layers
from attnflow_keras.core.checks import check_integer
from attnflow_keras.flow.token_flow import TokenFlow, accepts_condition
from attnflow_keras.layers.refinement import refinement_stages

# The kinds of pairs of couplings, over and over: four channel couplings to one of space, as in
# Jet, whose couplings of space take turns.
SPATIAL = ("checkerboard", "rows", "columns")


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_condition(after="seed")
class TransformerCouplingFlow(TokenFlow):
    """Couplings with transformers over patches as conditioners (Jet, arXiv:2412.15129).

    A faster alternative to :class:`CausalFlow`: encoding and decoding take one pass each, and
    exports have no loop over tokens. Couplings come in pairs that change one half and then the
    other. The first pairs, next to the image, map values by mixture CDFs, the first one with bins;
    the others are affine, with a free bounded scale.

    With ``refine``, the image first goes through couplings from fine to coarse
    (:func:`refinement_stages`): every other pixel is transformed given the rest, then half of the
    remaining ones, and so on. As in a causal flow, each value is transformed once by a mixture CDF
    with bins, given original grey levels, but in about ten passes instead of one per value.

    >>> flow = models.TransformerCouplingFlow(
    ...     (8, 8, 1), patch=4, couplings=4, width=32, layers=1
    ... )
    >>> flow.sample(1, seed=0).shape
    (1, 8, 8, 1)

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``patch``.
        patch: side of a patch, the token.
        couplings: number of couplings, even; may be 0 with ``refine``.
        refine: put the couplings from fine to coarse before them.
        layers: transformer layers of a coupling.
        width: their channels.
        heads: their attention heads.
        mixtures: how many couplings, from the image on, are mixtures; even.
        components: logistics of a mixture.
        bins: grey levels with a uniform component each, in the first pair or with ``refine``.
        context: what a token sees directly: ``"own"``, its patch, or ``"around"``, also those
            around it.
        see_levels: let the couplings that see the image see grey levels without dequantization
            noise.
        dropout: rate of dropout in training.
        preprocess: see :class:`Flow`.
        seed: seed of the halves, and of the noise in ``fit``.
        <condition>
        **kwargs: arguments of ``keras.Model``.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        patch: int = 4,
        couplings: int = 10,
        refine: bool = False,
        layers: int = 2,
        width: int = 96,
        heads: int = 4,
        mixtures: int = 4,
        components: int = 8,
        bins: tuple[int, ...] = (0, 255),
        context: str = "own",
        see_levels: bool = True,
        dropout: float = 0.0,
        preprocess: dict[str, int] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            image_shape,
            patch=patch,
            preprocess=preprocess,
            seed=seed,
            **kwargs,
        )
        least_couplings = 0 if refine else 2
        for name, value, least in (
            ("couplings", couplings, least_couplings),
            ("mixtures", mixtures, 0),
        ):
            if check_integer(name, value, least) % 2:
                raise ValueError(f"{name} must be even, couplings come in pairs; got {value}")
        if bins and not mixtures and not refine:
            raise ValueError(f"bins need mixtures of at least 2; got mixtures={mixtures}")
        self._config: dict[str, Any] = {
            "couplings": couplings,
            "refine": bool(refine),
            "layers": layers,
            "width": width,
            "heads": heads,
            "mixtures": mixtures,
            "components": components,
            "bins": list(bins),
            "context": context,
            "see_levels": see_levels,
            "dropout": dropout,
        }
        self.build()

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        config = self._config
        common = self.layer_options()
        common |= {name: config[name] for name in ("layers", "width", "heads", "dropout")}
        common["context"] = config["context"]
        parts = self._refinements(common) if config["refine"] else {}
        for i in range(config["couplings"]):
            pair, swap = divmod(i, 2)
            own: dict[str, Any] = {}
            if i < config["mixtures"]:
                own = {"transform": "mixture", "components": config["components"]}
            if pair == 0 and not config["refine"]:
                # What is left of an image in the second coupling is what the first one saw.
                own |= {"bins": tuple(config["bins"]), "spread": 0.5}
                own["see_levels"] = config["see_levels"] and not swap
                own["seen_spread"] = 1.0 if swap else 0.5
            parts[f"coupling_{i + 1}"] = layers.TransformerCoupling(
                kind=_kind(pair, self._patch_values()),
                swap=bool(swap),
                seed=self.seed + pair,
                **own,
                **common,
            )
        return self.one_level(parts)

    def _refinements(self, common: dict[str, Any]) -> dict[str, layers.FlowLayer]:
        config = self._config
        return {
            f"refinement_{stage}": layers.TransformerCoupling(
                kind="refinement",
                stage=stage,
                transform="mixture",
                components=config["components"],
                bins=tuple(config["bins"]),
                see_levels=config["see_levels"],
                spread=0.5,
                **common,
            )
            for stage in range(int(refinement_stages(self.float_shape).max()) + 1)
        }

    def _patch_values(self) -> int:
        return self._token_config["patch"] ** 2 * self.float_shape[-1]


def _kind(pair: int, values: int) -> str:
    """What the halves of a pair are."""
    if pair == 0:
        return "pixels"
    if values == 1 or pair % 3 == 2:
        return SPATIAL[pair // 3 % len(SPATIAL)]
    return "channel"
