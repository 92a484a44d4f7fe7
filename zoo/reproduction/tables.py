"""The tables: rows of the paper, and the baselines that they lack.

Figures of the paper are facts about it, and stand in columns of their own. Configurations of the
paper's size are entries of the zoo. For two cores there are smaller ones, on data sets at hand: all
rows of a table see the same images in the same order, for a seed, in the same number of steps.
"""

from typing import Any

from zoo.reproduction.conditional import TABLE_4, TABLE_5
from zoo.reproduction.small import SHORT, causal, clothes, dcgan, digits, itrans
from zoo.reproduction.table import SCALE, Definition, Paper, Row, Table

ABOUT_MNIST = """\
The paper's rows differ in size as well as in attention, count bits in two conventions, and were
chosen by the test split. Rows here differ in one thing each. `none` has no attention; `scale`
has, in the place of iMap, a coupling that scales each element by a weight of its own, of the same
mask and the same number of parameters."""


TABLE_2 = Table(
    "table2",
    "Table 2: MNIST",
    ABOUT_MNIST,
    (
        Row(
            "none",
            "no attention (baseline)",
            digits(),
            Definition("marflow-2x48-mnist"),
            {
                "T2.3, L=3 K=4 C=96": Paper(0.56, 3072, 46.01, "another training than T2.3*"),
                "T2.3*": Paper(0.88, None, None, "of mARFlow's own paper, convention not stated"),
            },
            "The paper has no row without attention at the sizes of its best rows.",
        ),
        Row(
            "none-2x96",
            "no attention, K=2, C=96",
            None,
            Definition("marflow-2x96-mnist"),
        ),
        Row("none-4x96", "no attention, K=4, C=96", None, Definition("marflow-4x96-mnist")),
        Row("scale", "scale coupling of the same mask and size", digits(**SCALE)),
        Row(
            "imap",
            "iMap",
            digits(attention="imap"),
            Definition("attnflow-imap-2x48-mnist"),
            {"T2.8, L=3 K=2 C=48": Paper(0.39, 3072, 8.94)},
        ),
        Row(
            "imap-2x96",
            "iMap, K=2, C=96",
            None,
            Definition("attnflow-imap-2x96-mnist"),
            {"T2.6": Paper(0.41, 3072, 23.78)},
        ),
        Row(
            "imap-4x96",
            "iMap, K=4, C=96",
            None,
            Definition("attnflow-imap-4x96-mnist"),
            {"T2.4": Paper(0.43, 3072, 46.03)},
        ),
        Row(
            "itrans",
            "iTrans",
            itrans(),
            Definition("attnflow-itrans-2x48-mnist"),
            {"T2.9, L=3 K=2 C=48": Paper(0.40, 3072, 9.05)},
        ),
        Row(
            "itrans-2x96",
            "iTrans, K=2, C=96",
            None,
            Definition("attnflow-itrans-2x96-mnist"),
            {"T2.7": Paper(0.42, 3072, 23.89)},
        ),
        Row(
            "itrans-4x96",
            "iTrans, K=4, C=96",
            None,
            Definition("attnflow-itrans-4x96-mnist"),
            {"T2.5": Paper(0.44, 3072, 46.25)},
        ),
        Row(
            "causal",
            "causal attention, one block",
            causal("attnflow-causal-mnist"),
            Definition("attnflow-causal-mnist"),
            note="Not of the paper.",
        ),
        Row(
            "flow++",
            "Flow++",
            Definition(
                "marflow-mnist",
                {
                    "width": 16,
                    "blocks": 2,
                    "components": 8,
                    "dropout": 0.0,
                    "dequantizer_width": 16,
                },
                SHORT,
                "FlowPlusPlus",
            ),
            printed={
                "footnote 9": Paper(0.66, None, None, "Flow++ transferred, convention not stated")
            },
            note="Its bits/dim are those of a bound, from one draw of its own noise.",
        ),
        Row(
            "residual",
            "Residual Flow",
            Definition(
                "marflow-mnist",
                {
                    "levels": 3,
                    "blocks": 4,
                    "width": [32, 64, 64],
                    "dense_blocks": 2,
                    "dense_width": 64,
                    "margin": 1e-6,
                },
                {**SHORT, "learning_rate": 2e-3},
                "ResidualFlow",
            ),
            printed={"T2.2": Paper(0.97, 784)},
            note="Its log-determinants are estimates: series that are cut, with random probes.",
        ),
        Row("glow", "Glow", printed={"T2.1": Paper(1.05, 784)}),
        Row("dcgan", "DCGAN", dcgan("marflow-mnist"), note="Not in this table of the paper."),
    ),
    "none",
)


def cifar(fid: float, inception: float, kid: float) -> dict[str, float]:
    """What the paper prints of samples."""
    return {"FID": fid, "IS": inception, "KID": kid}


LONGER = "3.222 after longer training"

TABLE_3 = Table(
    "table3",
    "Table 3: CIFAR-10",
    """\
The small budget trains on Fashion-MNIST instead of CIFAR-10. Its rows are not
comparable with the paper's figures, but compare the same systems on another data set.""",
    (
        Row(
            "none",
            "no attention (baseline)",
            clothes(attention=None),
            Definition("marflow-4x96-cifar10"),
            {
                "T3.7, L=3 K=4 C=96": Paper(3.27, 3072, 46.01, "3.254 after longer training"),
            },
        ),
        Row(
            "none-4x256",
            "no attention, C=256",
            None,
            Definition("marflow-4x256-cifar10"),
            {"T3.8": Paper(3.24, 3072, 252.77, LONGER, {"FID": 41.9, "IS": 5.7})},
        ),
        Row("scale", "scale coupling of the same mask and size", clothes(**SCALE)),
        Row(
            "imap",
            "iMap",
            clothes(),
            Definition("attnflow-imap-4x96-cifar10"),
            {"T3.9": Paper(3.247, 3072, 46.03, scores=cifar(40.5, 6.0, 0.031))},
        ),
        Row(
            "imap-4x256",
            "iMap, C=256",
            None,
            Definition("attnflow-imap-4x256-cifar10"),
            {"T3.11": Paper(3.216, 3072, 252.79, scores=cifar(33.6, 6.6, 0.025))},
        ),
        Row(
            "itrans",
            "iTrans",
            itrans("attnflow-imap-fashion-mnist"),
            Definition("attnflow-itrans-4x96-cifar10"),
            {"T3.10": Paper(3.248, 3072, 46.25, scores=cifar(40.2, 5.9, 0.032))},
        ),
        Row(
            "itrans-4x256",
            "iTrans, C=256",
            None,
            Definition("attnflow-itrans-4x256-cifar10"),
            {"T3.12": Paper(3.217, 3072, 253.01, scores=cifar(33.8, 6.7, 0.025))},
        ),
        Row(
            "causal",
            "causal attention, one block",
            causal("attnflow-causal-fashion-mnist"),
            note="Not of the paper.",
        ),
        Row("glow", "Glow", printed={"T3.2": Paper(3.35, 3072, scores={"FID": 46.9})}),
        Row(
            "flow++",
            "Flow++",
            printed={"T3.3": Paper(3.29, 3072, None, "uniform noise", {"FID": 46.9})},
        ),
        Row(
            "residual",
            "Residual Flow",
            printed={"T3.4": Paper(3.28, 3072, scores={"FID": 46.3, "IS": 5.2})},
        ),
        Row("iresnet-idp", "iResNet, iDP", printed={"T3.5": Paper(3.65, 3072)}),
        Row("iresnet-icon", "iResNet, iCon", printed={"T3.6": Paper(3.39, 3072)}),
        Row(
            "dcgan",
            "DCGAN",
            dcgan("attnflow-imap-fashion-mnist"),
            printed={"T3.1": Paper(scores={"FID": 37.1, "IS": 6.4})},
        ),
    ),
    "none",
)

PAPER_IMAP = "attnflow-imap-2x48-mnist"
NONE = Row("none", "no attention (baseline)", digits(), Definition("marflow-2x48-mnist"))


def mask_row(mask: str, printed: dict[str, Paper]) -> Row:
    """iMap with one of the masks."""
    return Row(
        mask.replace("_", "-"),
        f"iMap, mask {mask}",
        digits(attention="imap", mask=mask),
        Definition(PAPER_IMAP, {"mask": mask}),
        printed,
    )


MASK_ROWS = {
    "spatial": {"text, spatial": Paper(0.99, 3072)},
    "channel": {"text, channel": Paper(0.75, 3072)},
    "channel_alternating": {},
    "random": {"text, random": Paper(0.50, 3072)},
    "spatial_channel": {"text, spatial-channel": Paper(0.39, 3072)},
}

MASKS = Table(
    "masks",
    "Masks of iMap",
    """\
The paper gives four masks of iMap on MNIST in its text, and no row without attention of that
size. With the spatial mask all channels of a transformed element are hidden from the attention,
which then is a constant: such a layer can't cost what the paper's figure says by lack of
expressiveness.""",
    (NONE, *(mask_row(mask, printed) for mask, printed in MASK_ROWS.items())),
    "none",
)


def position_rows(kind: str, small: Any, paper: str) -> tuple[Row, ...]:
    """One attention at each of the four positions in a step."""
    title = {"imap": "iMap", "itrans": "iTrans"}[kind]
    return tuple(
        Row(
            f"{kind}-{position}",
            f"{title}, position {position}",
            small(position=position),
            Definition(paper, {"position": position}),
        )
        for position in (1, 2, 3, 4)
    )


POSITIONS = Table(
    "positions",
    "Position of the attention in a step",
    """\
1: before actnorm, 2: after it, 3: after the 1x1 convolution, 4: after the coupling. The paper's
figure 5 shows CIFAR-10 without numbers, and its text says that positions 3 and 4 are best. Here
it is MNIST.""",
    (
        NONE,
        *position_rows("imap", lambda **config: digits(attention="imap", **config), PAPER_IMAP),
        *position_rows("itrans", itrans, "attnflow-itrans-2x48-mnist"),
    ),
    "none",
)

HEADS = Table(
    "heads",
    "Heads of iTrans",
    """\
The paper's figure 5 shows 1, 3, 5 and 7 heads on CIFAR-10 without numbers; its text finds no
clear gain above 5. Here it is MNIST.""",
    (
        NONE,
        *(
            Row(
                f"heads-{heads}",
                f"iTrans, {heads} heads" if heads > 1 else "iTrans, 1 head",
                itrans(heads=heads),
                Definition("attnflow-itrans-2x48-mnist", {"heads": heads}),
            )
            for heads in (1, 3, 5, 7)
        ),
    ),
    "none",
)

TABLES = {
    table.name: table for table in (TABLE_2, TABLE_3, TABLE_4, TABLE_5, MASKS, POSITIONS, HEADS)
}
