"""Tables of what the paper leaves open: forms of the layers, and components for grey levels."""

from typing import Any

from zoo.reproduction.table import Row, Table
from zoo.reproduction.tables import digits, itrans

PAPER_FORM: dict[str, Any] = {"form": "paper"}

FORMS = Table(
    "forms",
    "Forms of the attentions and of the mixture coupling",
    """\
The layers as the paper and mAR-SCF print them, `form="paper"`, beside the stable forms that are
the default here. The former are not invertible everywhere, so low bits/dim can be an artefact of
rounding: `python -m benchmarks.numerics` scores the same weights in mAR-SCF's arithmetic.""",
    (
        Row("none", "no attention (baseline), stable mixture", digits()),
        Row("mixture-paper", "no attention, mixture as printed",
            digits(coupling_options=PAPER_FORM)),
        Row("imap", "iMap, stable", digits(attention="imap")),
        Row("imap-paper", "iMap as printed",
            digits(attention="imap", attention_options=PAPER_FORM)),
        Row("itrans", "iTrans, stable", itrans()),
        Row("itrans-paper", "iTrans as printed", itrans(attention_options=PAPER_FORM)),
    ),
    "none",
)  # fmt: skip

BINS = Table(
    "bins",
    "Uniform components for grey levels",
    """\
A grey level that is certain costs a smooth density a quarter of a bit under uniform
dequantization noise, and a uniform component nothing. With `bins`, two more mixture couplings
stand in front of the flow. `rare` has them too, with a bin for a level that few pixels have.""",
    (
        Row("none", "no bins", digits()),
        Row("rare", "bin of grey level 128 (baseline)", digits(bins=[128])),
        Row("black", "bin of grey level 0", digits(bins=[0])),
        Row("black-white", "bins of grey levels 0, 252, 253, 254 and 255",
            digits(bins=[0, 252, 253, 254, 255])),
    ),
    "rare",
)  # fmt: skip
