"""The tables of the conditional tasks."""

from typing import Any

from attnflow_keras.data.bluemarble import IGBP_PALETTE
from zoo.reproduction.references import RECIPE
from zoo.reproduction.table import SCALE, Definition, Paper, Row, Table

# Two levels of few steps, and a training of some minutes on two cores.
SHORT: dict[str, Any] = {
    "steps": 600,
    "stop_step": None,
    "steps_per_epoch": 150,
    "warmup_steps": 60,
    "ema": 0.98,
    "batch_size": 16,
    "augment": None,
    "patience": None,
    "pretrain_steps": 0,
    "freeze_steps": 0,
    "zero_latent_steps": 0,
}


def short(entry: str, **config: Any) -> Definition:
    """An entry's flow with these changes, trained briefly."""
    return Definition(entry, config, SHORT)


def reference(entry: str, model: str, **config: Any) -> Definition:
    """Another model for the task of an entry, which sees the same images."""
    return Definition(entry, config, {**SHORT, **RECIPE}, model)


# Of the RRDB network, in both of its rows: that of the flows' encoder.
NETWORK: dict[str, Any] = {"scale": 8, "features": 32, "growth": 16, "blocks": 2}


def faces(ssim: float, psnr: float, lr_psnr: float, lpips: float) -> dict[str, float]:
    """What the paper prints of restorations."""
    return {"SSIM": ssim, "PSNR": psnr, "LR-PSNR": lr_psnr, "LPIPS": lpips}


TABLE_4 = Table(
    "table4",
    "Table 4: 8x super-resolution",
    """\
The paper prints means over temperatures of 0.1 to 0.9 on CelebA, and no likelihood; its bicubic and
ESRGAN are those of SRFlow's paper. Bits per dimension compare what the flows have learned without a
choice of temperature. The small budget trains on Blue Marble.""",
    (
        Row(
            "none",
            "SRFlow (baseline)",
            short("srflow-sr8-bluemarble"),
            Definition("srflow-2x8-celeba"),
            {"T4.4, L=2 K=8": Paper(None, None, 13.25, scores=faces(0.73, 25.47, 38.94, 0.17))},
        ),
        Row(
            "none-1x1", "SRFlow, L=1, K=1", None, Definition("srflow-1x1-celeba"),
            {"T4.3": Paper(None, None, 6.622, scores=faces(0.67, 25.57, 44.20, 0.23))},
        ),
        Row(
            "scale",
            "scale coupling of the same mask and size",
            short("cattnflow-imap-sr8-bluemarble", **SCALE),
        ),
        Row(
            "imap",
            "iMap",
            short("cattnflow-imap-sr8-bluemarble"),
            Definition("cattnflow-imap-2x8-celeba"),
            {"T4.7": Paper(None, None, 13.30, scores=faces(0.74, 25.38, 41.88, 0.17))},
        ),
        Row(
            "imap-1x1", "iMap, L=1, K=1", None, Definition("cattnflow-imap-1x1-celeba"),
            {"T4.5": Paper(None, None, 6.623, scores=faces(0.71, 25.50, 44.75, 0.19))},
        ),
        Row(
            "itrans",
            "iTrans",
            short("cattnflow-itrans-sr8-bluemarble"),
            Definition("cattnflow-itrans-2x8-celeba"),
            {"T4.8": Paper(None, None, 13.93, scores=faces(0.73, 25.24, 42.49, 0.16))},
        ),
        Row(
            "itrans-1x1", "iTrans, L=1, K=1", None, Definition("cattnflow-itrans-1x1-celeba"),
            {"T4.6": Paper(None, None, 6.630, scores=faces(0.73, 25.50, 44.23, 0.18))},
        ),
        Row("causal", "causal attention", short("cattnflow-causal-sr8-bluemarble")),
        Row(
            "bicubic",
            "bicubic interpolation",
            reference("srflow-sr8-bluemarble", "Bicubic", scale=8),
            printed={"T4.1": Paper(scores=faces(0.63, 23.15, 35.19, 0.58))},
        ),
        Row(
            "rrdb",
            "RRDB, mean absolute error alone",
            reference("srflow-sr8-bluemarble", "ESRGAN", **NETWORK, adversarial_weight=0.0),
            note="Not of the paper: the generator of ESRGAN without its discriminator.",
        ),
        Row(
            "esrgan",
            "ESRGAN",
            reference("srflow-sr8-bluemarble", "ESRGAN", **NETWORK, width=8, pretrain_steps=150),
            printed={"T4.2": Paper(scores=faces(0.63, 22.88, 34.04, 0.12))},
            note="Without the perceptual loss.",
        ),
    ),
    "none",
)  # fmt: skip

TABLE_5 = Table(
    "table5",
    "Table 5: label to photo",
    """\
The paper has no Full-Glow of the size of its own rows (L=2, K=8), and copies its other rows from
Full-Glow's README; `none` is that row. The small budget trains on Blue Marble with land-cover
maps.""",
    (
        Row(
            "none",
            "Full-Glow (baseline)",
            short("fullglow-landcover-bluemarble"),
            Definition("fullglow-2x8-cityscapes"),
            note="The paper's Full-Glow is four times as large.",
        ),
        Row(
            "none-4x16",
            "Full-Glow, L=4, K=16",
            None,
            Definition("fullglow-4x16-cityscapes"),
            {"T5.4": Paper(2.345, 196608, 155.33)},
        ),
        Row(
            "scale",
            "scale coupling of the same mask and size",
            short("cattnflow-imap-landcover-bluemarble", **SCALE),
        ),
        Row(
            "imap",
            "iMap",
            short("cattnflow-imap-landcover-bluemarble"),
            Definition("cattnflow-imap-2x8-cityscapes"),
            {"T5.5": Paper(2.310, 196608, 34.68)},
        ),
        Row(
            "itrans",
            "iTrans",
            short("cattnflow-itrans-landcover-bluemarble"),
            Definition("cattnflow-itrans-2x8-cityscapes"),
            {"T5.6": Paper(2.314, 196608, 34.70)},
        ),
        Row(
            "cglow",
            "C-Glow",
            short("cglow-landcover-bluemarble"),
            Definition("cglow-v2-cityscapes"),
            {"T5.2, v2": Paper(2.363, 196608)},
        ),
        Row(
            "cglow-v1", "C-Glow v1", None, Definition("cglow-v1-cityscapes"),
            {"T5.1": Paper(2.568, 196608)},
        ),
        Row(
            "dualglow",
            "Dual-Glow",
            short("dualglow-landcover-bluemarble"),
            Definition("dualglow-cityscapes"),
            {"T5.3": Paper(2.585, 196608)},
        ),
        Row("causal", "causal attention", short("cattnflow-causal-landcover-bluemarble")),
        Row(
            "pix2pix",
            "Pix2Pix",
            reference(
                "fullglow-landcover-bluemarble",
                "Pix2Pix",
                palette=IGBP_PALETTE.tolist(),
                width=16,
                patch_layers=2,
            ),
            note="Not of the paper's table, but of Full-Glow's, without a likelihood; trained on "
            "batches of 16, not of 1.",
        ),
    ),
    "none",
)  # fmt: skip
