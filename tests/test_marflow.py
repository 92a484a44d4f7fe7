"""MARFlow: structure, options, errors."""

import json
import math

import keras
import numpy as np
import pytest

from attnflow_keras.models import MARFlow
from tests.conftest import make_tiny_flow
from tests.helpers import batch, fresh, jacobian_log_det, perturb

OPTIONS = [
    {"attention": None, "coupling": "affine"},
    {"attention": "imap", "position": 1, "mask": "channel", "conv_layout": "packed"},
    {"attention": "imap", "position": 2, "mask": "random", "conv_init": ["identity", "orthogonal"]},
    {"attention": "imap", "position": 3, "mask": "spatial"},
    {"attention": "imap", "attention_options": {"bias": "channel", "floor": 0.2}},
    {"attention": "itrans", "position": 1, "mask": "random"},
    {"attention": "itrans", "position": 3, "heads": 2, "mask": "channel"},
    {"attention": "itrans", "position": 2, "grid": [(2, 2), (2, 1)], "heads": 3},
    {
        "attention": "itrans",
        "attention_options": {"activation": "softmax"},
        "grid": [(2, 2), (1, 2)],
        "mask": "spatial",
    },
    {
        "attention": "itrans",
        "heads": 3,
        "attention_options": {"combine": "mean", "expansion": 2},
        "mask": "channel_alternating",
    },
    {"attention": "imap", "attention_options": {"pool": "space"}},
    {"attention": "imap", "attention_options": {"form": "paper"}},
    {
        "conditioner": "gated_attention",
        "conditioner_options": {"blocks": 1, "heads": 2},
        "prior": "autoregressive",
        "prior_options": {"width": 4, "depth": 1},
        "coupling_options": {"form": "paper"},
    },
    {"conditioner_options": {"blocks": 2, "position_bias": True}, "width": [6, 8], "steps": [2, 1]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
def test_every_option_is_a_flow(options):
    flow = perturb(make_tiny_flow(dtype="float64", **options), 0.1)
    x = batch((8, 8, 1), n=1)
    latents, log_det = flow.traced_encode(fresh(x))
    expected = jacobian_log_det(lambda v: _flat(flow.traced_encode(v)[0]), x)
    np.testing.assert_allclose(log_det, expected, rtol=1e-7, atol=1e-6)
    back = flow.traced_decode(tuple(fresh(z) for z in latents))
    np.testing.assert_allclose(back, x, atol=1e-7)
    assert MARFlow.from_config(flow.get_config()).get_config() == flow.get_config()
    json.dumps(flow.get_config())


PAPER_ATTENTION = {
    None: {},
    "imap": {},
    "itrans": {"heads": 5, "attention_options": {"expansion": 2}},
}
# Millions are printed in the paper's tables; the counts are those of its released backbone,
# less the network of the last level's prior that it builds and never uses.
UNUSED = 41_636
TOTALS = {
    None: (8_928_674, 23_768_162, 46_011_410, 252_768_530),
    "imap": (8_940_266, 23_779_754, 46_034_594, 252_791_714),
    "itrans": (9_049_694, 23_889_182, 46_253_450, 253_010_570),
}
SIZES = ((2, 48), (2, 96), (4, 96), (4, 256))


@pytest.mark.parametrize("size", range(4), ids=lambda i: "x".join(map(str, SIZES[i])))
@pytest.mark.parametrize("attention", [None, "imap", "itrans"])
def test_parameter_totals_are_the_papers(attention, size, monkeypatch):
    # Counting needs no random numbers, of which the largest flow would draw 253 million.
    monkeypatch.setattr(keras.initializers.RandomUniform, "__call__", _zeros)
    steps, width = SIZES[size]
    options = PAPER_ATTENTION[attention]
    flow = MARFlow((32, 32, 3), steps=steps, width=width, attention=attention, **options)
    total = sum(math.prod(v.shape) for v in flow.trainable_variables)
    assert total == TOTALS[attention][size] - UNUSED


def _zeros(self, shape, dtype=None):
    return keras.ops.zeros(shape, dtype=dtype)


def _flat(latents):
    from keras import ops

    return ops.concatenate([ops.reshape(z, (z.shape[0], -1)) for z in latents], axis=1)


@pytest.mark.parametrize(
    ("position", "order"),
    [
        (1, ["attention", "actnorm", "conv1x1", "coupling", "flip"]),
        (2, ["actnorm", "attention", "conv1x1", "coupling", "flip"]),
        (3, ["actnorm", "conv1x1", "attention", "coupling", "flip"]),
        (4, ["actnorm", "conv1x1", "coupling", "attention", "flip"]),
    ],
)
def test_position_of_the_attention(position, order):
    flow = make_tiny_flow(position=position)
    assert flow.level_1.step_1.order == order


def test_latents_are_ordered_from_the_first_split_to_the_top():
    flow = MARFlow((28, 20, 1), levels=2, steps=1, width=4, components=1)
    assert flow.latent_shapes == ((14, 10, 2), (7, 5, 8))
    assert sum(np.prod(s) for s in flow.latent_shapes) == 28 * 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (8, 8)}, "image_shape must be"),
        ({"image_shape": (8, 10, 1)}, r"image_shape .* can't be squeezed 2 times"),
        ({"levels": 0}, "levels must be"),
        ({"image_shape": (28, 28, 1), "levels": 3}, r'give levels=2 or preprocess={"pad": 2}$'),
        ({"image_shape": 8}, r"image_shape must be \(height, width, channels\); got 8"),
        ({"steps": 0}, "steps must be integers of at least 1; got 0"),
        ({"steps": "1"}, "steps must be integers of at least 1; got '1'"),
        ({"width": 8.5}, "width must be integers of at least 1; got 8.5"),
        ({"seed": -1}, "seed must be an integer of at least 0; got -1"),
        ({"seed": "a"}, "seed must be"),
        ({"conv_init": "zeros"}, "conv_init must be one of"),
        ({"conv_layout": "qr"}, "conv_layout must be one of"),
        ({"attention": None, "mask": "diagonal"}, "mask must be one of"),
        ({"attention_options": [1]}, r"attention_options must be a dict .* got \[1\]"),
        (
            {"attention_options": {"mask": "random"}},
            "attention_options of IMapAttention must be among form, pool, floor, bias; got mask",
        ),
        ({"prior_options": {"depth": 2}}, r"prior_options of GaussianPrior .* got depth"),
        ({"conditioner_options": {"width": 8}}, "conditioner_options of GatedConvNet"),
        ({"coupling_options": {"color": 1}}, "coupling_options of MixtureCoupling .* got color"),
        ({"steps": [1, 1, 1]}, "steps has 3 values for 2 levels"),
        ({"attention": "self"}, "attention must be one of None, imap, itrans"),
        ({"position": 5}, "position must be one of 1, 2, 3, 4; got 5"),
        ({"mask": "diagonal"}, "mask must be one of"),
        ({"heads": 3}, "heads is an option of attention='itrans'"),
        ({"attention": "itrans", "heads": 0}, "heads must be an integer of at least 1"),
        ({"attention": "itrans", "heads": 99}, "heads=99 is too many .* at most 4 heads fit"),
        ({"attention": "itrans", "heads": 1.5}, "heads must be an integer"),
        ({"attention": "itrans", "grid": 2}, "grid must be"),
        ({"attention": "itrans", "grid": [(2, 2)] * 3}, "grid has 3 values for 2 levels"),
        (
            {"attention": "itrans", "grid": (3, 2)},
            "does not divide the map of level 1, 4x4; valid grids there",
        ),
        ({"attention": "itrans", "grid": (1, 1)}, "grid must be"),
        ({"attention": "itrans", "grid": (5, 5)}, "does not divide the map of level 1"),
        ({"attention": None, "attention_options": {"floor": 0.1}}, "attention_options need"),
        ({"attention_options": {"floor": 0.0}}, r"floor must be a number in \(0, 1\)"),
        ({"coupling": "additive"}, "coupling must be one of"),
        ({"components": 0}, "components must be integers of at least 1; got 0"),
        ({"prior": "uniform"}, "prior must be one of"),
        ({"conditioner": "mlp"}, "conditioner must be one of"),
        ({"dtype": "float16"}, "dtype must be one of"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        make_tiny_flow(**changes)
