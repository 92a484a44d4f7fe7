"""Bounds that keep the round trip exact on extreme images, and the check of it."""

import json
from pathlib import Path

import numpy as np
import pytest

import zoo
from attnflow_keras import models
from attnflow_keras.core.exactness import level_errors, require_exact
from attnflow_keras.data.odd import odd_condition, odd_images
from attnflow_keras.layers.mixture_coupling import UNSTATED
from attnflow_keras.models import Glow, MARFlow
from attnflow_keras.ops.numerics import INPUT_BOUND
from tests.conftest import make_tiny_flow
from tests.helpers import perturb
from tests.test_pretrained import PRETRAINED as UNCONDITIONAL
from tests.test_pretrained_restorers import PRETRAINED as RESTORERS
from tests.test_pretrained_translators import PRETRAINED as TRANSLATORS
from zoo.card import render
from zoo.registry import PRESETS

OLD = Path(__file__).parent / "data" / "format-1"
UNBOUNDED = {"input_bound": None, **UNSTATED}


def odd_floats(flow):
    return flow.dequantize(np.stack(list(odd_images(flow.image_shape).values())), center=True)


def test_odd_pictures_are_of_the_shape_and_differ():
    for shape, count in (((8, 8, 1), 11), ((6, 10, 3), 19)):
        pictures = odd_images(shape)
        assert len(pictures) == count
        assert all(p.shape == shape and p.dtype == np.uint8 for p in pictures.values())
        assert len({p.tobytes() for p in pictures.values()}) == count
    assert (pictures["red and cyan"].reshape(-1, 3).max(axis=0) == 255).all()
    assert odd_condition(make_tiny_flow(), pictures["red"][None]) is None


def test_errors_are_in_grey_levels_and_what_is_not_finite_is_wrong():
    x = np.zeros((3, 2, 2, 1), "float32")
    back = x.copy()
    back[1, 0, 0] = 1 / 256
    back[2, 1, 1] = np.nan
    errors = level_errors(x, back)
    np.testing.assert_allclose(errors, [0, 1, np.inf])
    require_exact(errors[:1])
    with pytest.raises(ValueError, match=r"not for 2 of 3, .* x\[2\], .* by inf grey levels"):
        require_exact(errors)


BOUNDS = {"input_bound": 2.0, "component_bound": 0.7, "final_range": [-1.3, 0.7]}


def test_bounds_make_the_difference_between_flows_of_the_same_weights(tiny_images):
    flow = make_tiny_flow(steps=2, attention=None, **UNBOUNDED)
    flow.adapt(tiny_images)
    perturb(flow, 0.1)
    bounded = MARFlow(**{**flow.get_config(), **BOUNDS})
    bounded.set_weights(flow.get_weights())
    x = odd_floats(flow)
    with pytest.raises(ValueError, match="must reproduce x within half a grey level"):
        flow.encode(x, check=True)
    bounded.encode(x, check=True)
    report = flow.diagnose(x)
    assert report.inexact_images
    assert f"{len(report.inexact_images)} of {len(x)} images" in report.problem


def test_new_flows_are_bounded_and_old_configurations_mean_what_they_did():
    flow = make_tiny_flow()
    config = flow.get_config()
    assert config["input_bound"] == INPUT_BOUND
    for part in (flow.level_1.step_1.coupling, flow.prior_1):
        assert part.input_bound == INPUT_BOUND
    assert flow.level_1.step_1.coupling.component_bound < UNSTATED["component_bound"]
    for key in UNBOUNDED:
        config.pop(key)
    old = MARFlow.from_config(config)
    assert {key: old.get_config()[key] for key in UNBOUNDED} == UNBOUNDED
    assert old.level_1.step_1.coupling.input_bound is None
    entry = zoo.load(OLD)
    assert {key: entry.get_config()[key] for key in UNBOUNDED} == UNBOUNDED


@pytest.mark.parametrize("name", [name for name in models.__all__ if name != "Flow"])
def test_every_model_has_a_bound_and_states_it(name):
    kind = getattr(models, name)
    assert kind.absent["input_bound"] is None
    # Mixtures, layers over patches and contractions have other bounds of their scales.
    if name not in (
        "MARFlow",
        "CausalFlow",
        "TransformerCouplingFlow",
        "ResidualFlow",
        "FlowPlusPlus",
    ):
        assert kind.absent["scale_floor"] == 0.0


def test_untrained_entries_are_trained_with_bounds():
    for name in zoo.list(pretrained=False):
        config = zoo.info(name)["config"]
        if "causal" in name:  # causal attention bounds its scales itself
            continue
        assert config["input_bound"] == INPUT_BOUND
        assert config.get("scale_floor", 0.25) == 0.25


def test_the_network_sees_what_is_beyond_the_bound_at_the_bound():
    flow = Glow((8, 8, 3), levels=1, steps=1, width=4, input_bound=1.5)
    coupling = flow.level_1.step_1.coupling
    perturb(coupling, 0.5)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 12)).astype("float32")
    kept = slice(coupling.partition((4, 4, 12)).transformed_channels, None)
    far = x.copy()
    far[..., kept] = np.where(np.abs(x[..., kept]) > 1.5, 50 * x[..., kept], x[..., kept])
    moved = slice(None, kept.start)
    assert (far != x).any()
    np.testing.assert_array_equal(coupling(x)[0][..., moved], coupling(far)[0][..., moved])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_bound": 0}, "input_bound must be a positive number, or None; got 0"),
        ({"input_bound": "5"}, "input_bound must be a positive number, or None; got '5'"),
        ({"component_bound": -9}, "component_bound must be a number above -9; got -9"),
        ({"final_range": [0.1, 1]}, "final_range must be two numbers, below and above 0, or None"),
        ({"final_range": 1}, "final_range must be two numbers, below and above 0, or None; got 1"),
    ],
)
def test_bad_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_tiny_flow(**arguments)


MEASURED = [name for name in zoo.list(pretrained=True) if "exactness" in zoo.info(name)]


def test_entries_are_measured():
    assert {"attnflow-imap-mnist", "attnflow-itrans-mnist", "glow-bluemarble"} <= set(MEASURED)
    # Each in its own file, with the flow that the other tests of it have loaded.
    tested = {*UNCONDITIONAL, *RESTORERS, *TRANSLATORS}
    assert set(MEASURED) <= tested


def test_a_card_says_where_an_entry_is_exact():
    text = (PRESETS / "attnflow-imap-mnist" / "card.md").read_text()
    assert "`decode(encode(x))` is exact" in text
    metadata = json.loads((PRESETS / "attnflow-imap-mnist" / "metadata.json").read_text())
    metadata["exactness"]["grey_levels"] = {"white": 0.1, "noise": 7.0}
    text = render(metadata, {"class": "MARFlow"})
    assert "at most 0.1 on white." in text
    assert "It is not exact on noise (7)" in text
