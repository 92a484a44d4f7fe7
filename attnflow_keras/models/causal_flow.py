"""CausalFlow, a flow whose attention pays."""

from typing import Any

import keras

from attnflow_keras import layers
from attnflow_keras.core.checks import check_integer
from attnflow_keras.flow.arguments import check_options
from attnflow_keras.flow.token_flow import TokenFlow, accepts_condition

# What CausalFlow sets itself in each block, so that the options can't.
OWN = ("condition_channels", "condition_scale", "order", "spread", "bins", "see_levels", "linear")
ORDERS = ("raster", "reversed")


@keras.saving.register_keras_serializable(package="attnflow_keras")
@accepts_condition(after="seed")
class CausalFlow(TokenFlow):
    """One or more blocks of causal attention over patches.

    The block nearest to the data has a masked network inside each patch and maps values by
    mixture CDFs with bins, see :class:`CausalAttention`; on its own it is the best use of a small
    budget. More blocks, in alternating order, can be stacked on it. TarFlow's published form
    (arXiv:2412.06329) is ``blocks=8``, ``group=0``, ``transform="affine"``,
    ``context="previous"``, ``bins=()``.

    Encoding and scoring take one pass; decoding is sequential over tokens.

    >>> flow = models.CausalFlow((8, 8, 1), patch=4, width=32, layers=1)
    >>> flow.sample(1, seed=0).shape
    (1, 8, 8, 1)

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``patch``.
        patch: side of a patch, the token.
        blocks: number of blocks.
        layers: transformer layers of the first block.
        width: their channels.
        heads: their attention heads.
        group: hidden units for each value of a patch, see :class:`CausalAttention`.
        components: logistics of a mixture.
        transform: of the first block, ``"mixture"`` or ``"affine"``.
        context: ``"neighbours"`` or ``"previous"``.
        bins: grey levels with a uniform component each, such as those of a plain background.
        see_levels: let the first block see grey levels without dequantization noise, see
            :class:`CausalAttention`; this improves scores and keeps the inverse exact.
        dropout: rate of dropout in training.
        linear: let the first block predict values linearly, see :class:`CausalAttention`; set by
            ``adapt``.
        floor: weight of the wide component of the first block's mixtures, see
            :class:`CausalAttention`. About this share of the values sampled at temperature 1 are
            drawn from it, which shows as specks in large photographs.
        later: arguments of :class:`CausalAttention` that differ in later blocks; by default
            ``{"transform": "affine"}``.
        preprocess: see :class:`Flow`.
        seed: seed of the noise in ``fit``.
        <condition>
        **kwargs: arguments of ``keras.Model``.
    """

    causal = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        patch: int = 4,
        blocks: int = 1,
        layers: int = 3,
        width: int = 160,
        heads: int = 4,
        group: int = 20,
        components: int = 10,
        transform: str = "mixture",
        context: str = "neighbours",
        bins: tuple[int, ...] = (0, 255),
        see_levels: bool = True,
        dropout: float = 0.0,
        linear: bool = False,
        floor: float = 1e-3,
        later: dict[str, Any] | None = None,
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
        check_integer("blocks", blocks)
        check_options("later", later, _Block, OWN)
        self._config: dict[str, Any] = {
            "blocks": blocks,
            "layers": layers,
            "width": width,
            "heads": heads,
            "group": group,
            "components": components,
            "transform": transform,
            "context": context,
            "bins": list(bins),
            "see_levels": see_levels,
            "dropout": dropout,
            "linear": bool(linear),
            "floor": floor,
            "later": later,
        }
        self.build()

    @property
    def value_order(self) -> dict[str, Any] | None:
        """Patch and order of the values of an image; None where blocks or padding mix them."""
        if self._config["blocks"] > 1 or self.float_shape != self.image_shape:
            return None
        return {"patch": self._token_config["patch"], "order": ORDERS[0]}

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        config = self._config
        first = {
            key: config[key]
            for key in (
                "layers", "width", "heads", "group", "components", "transform",
                "context", "dropout",
            )
        }  # fmt: skip
        later = {"transform": "affine"} if config["later"] is None else config["later"]
        common = self.layer_options()
        parts: dict[str, layers.FlowLayer] = {}
        for i in range(config["blocks"]):
            own: dict[str, Any] = {"spread": 1.0, "linear": False}
            if i == 0:
                seen = config["see_levels"]
                own = {"bins": tuple(config["bins"]), "see_levels": seen, "spread": 0.5}
                own["linear"] = config["linear"]
                own["floor"] = config["floor"]
            options = {**first, **own, **(later if i else {}), "order": ORDERS[i % 2]}
            parts[f"block_{i + 1}"] = _Block(**options, **common)
        return self.one_level(parts)


_Block = layers.CausalAttention
