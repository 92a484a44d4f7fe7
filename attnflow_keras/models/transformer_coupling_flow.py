"""TransformerCouplingFlow, attention that is one pass in both directions."""

from typing import Any

import keras

from attnflow_keras import layers
from attnflow_keras.core.checks import check_integer
from attnflow_keras.flow.token_flow import TokenFlow, accepts_condition

# The kinds of pairs of couplings, over and over: four channel couplings to one of space, as in
# Jet, whose couplings of space take turns.
SPATIAL = ("checkerboard", "rows", "columns")


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_condition(after="seed")
class TransformerCouplingFlow(TokenFlow):
    """Couplings with transformers over patches as conditioners (Jet, arXiv:2412.15129).

    The fast sibling of :class:`CausalFlow`: encoding and decoding are one pass each, and exports
    have no loop over tokens. Couplings come in pairs that change one half and then the other.
    The first pairs, next to the image, map values by mixture CDFs, the first one with bins; the
    others are affine, with a free bounded scale.

    >>> flow = models.TransformerCouplingFlow(
    ...     (8, 8, 1), patch=4, couplings=4, width=32, layers=1
    ... )
    >>> flow.sample(1, seed=0).shape
    (1, 8, 8, 1)

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``patch``.
        patch: side of a patch, the token.
        couplings: number of couplings, even.
        layers: transformer layers of a coupling.
        width: their channels.
        heads: their attention heads.
        mixtures: how many couplings, from the image on, are mixtures; even.
        components: logistics of a mixture.
        bins: grey levels with a uniform component each, in the first pair.
        see_levels: let the first coupling see grey levels without dequantization noise.
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
        layers: int = 2,
        width: int = 96,
        heads: int = 4,
        mixtures: int = 4,
        components: int = 8,
        bins: tuple[int, ...] = (0, 255),
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
        for name, value, least in (("couplings", couplings, 2), ("mixtures", mixtures, 0)):
            if check_integer(name, value, least) % 2:
                raise ValueError(f"{name} must be even, couplings come in pairs; got {value}")
        if bins and not mixtures:
            raise ValueError(f"bins need mixtures of at least 2; got mixtures={mixtures}")
        self._config: dict[str, Any] = {
            "couplings": couplings,
            "layers": layers,
            "width": width,
            "heads": heads,
            "mixtures": mixtures,
            "components": components,
            "bins": list(bins),
            "see_levels": see_levels,
            "dropout": dropout,
        }
        self.build()

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        config = self._config
        common = self.layer_options()
        common |= {name: config[name] for name in ("layers", "width", "heads", "dropout")}
        parts: dict[str, layers.FlowLayer] = {}
        for i in range(config["couplings"]):
            pair, swap = divmod(i, 2)
            own: dict[str, Any] = {}
            if i < config["mixtures"]:
                own = {"transform": "mixture", "components": config["components"]}
            if pair == 0:
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

    def _patch_values(self) -> int:
        return self._token_config["patch"] ** 2 * self.float_shape[-1]


def _kind(pair: int, values: int) -> str:
    if pair == 0:
        return "pixels"
    if values == 1 or pair % 3 == 2:
        return SPATIAL[pair // 3 % len(SPATIAL)]
    return "channel"
