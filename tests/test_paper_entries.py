"""Entries without weights: the paper's configurations."""

import json
import math

import numpy as np
import pytest

import zoo
from attnflow_keras.data import data_set
from attnflow_keras.training import Recipe
from tests.test_marflow import PAPER_ATTENTION, SIZES, TOTALS, UNUSED
from zoo.registry import PRESETS

# Rows of the paper's tables 2 and 3 with their attention, steps and width.
TABLE_2 = [
    ("marflow", 4, 96),
    ("attnflow-imap", 4, 96),
    ("attnflow-itrans", 4, 96),
    ("attnflow-imap", 2, 96),
    ("attnflow-itrans", 2, 96),
    ("attnflow-imap", 2, 48),
    ("attnflow-itrans", 2, 48),
]
TABLE_3 = [
    (kind, 4, width)
    for width in (96, 256)
    for kind in ("marflow", "attnflow-imap", "attnflow-itrans")
]
ROWS = [(row, "mnist") for row in TABLE_2] + [(row, "cifar10") for row in TABLE_3]
CONTROLS = [(("marflow", 2, 96), "mnist"), (("marflow", 2, 48), "mnist")]
NAMES = {f"{kind}-{k}x{c}-{data}": (kind, k, c, data) for (kind, k, c), data in ROWS + CONTROLS}


def test_every_row_has_an_entry_without_weights():
    assert set(NAMES) <= set(zoo.list(pretrained=False))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_configuration_is_that_of_the_row(name):
    kind, steps, width, data = NAMES[name]
    entry = zoo.info(name)
    config = entry["config"]
    attention = None if kind == "marflow" else kind.split("-")[1]
    assert (config["levels"], config["steps"], config["width"]) == (3, steps, width)
    assert config["attention"] == attention
    for key, value in PAPER_ATTENTION[attention].items():
        assert config[key] == value
    assert entry["parameters"] == TOTALS[attention][SIZES.index((steps, width))] - UNUSED
    assert entry["dataset_license"] == data_set(data).license
    if data == "mnist":
        assert config["preprocess"] == {"pad": 2, "replicate": 3}
        assert config["image_shape"] == [28, 28, 1]
    else:
        assert config["preprocess"] is None
        assert config["image_shape"] == [32, 32, 3]
    recipe = Recipe.from_dict(entry["training"]["recipe"])
    assert (recipe.dataset, recipe.batch_size, recipe.optimizer) == (data, 64, "adamax")
    assert recipe.augment == (None if data == "mnist" else "shift_flip")
    assert "metrics" not in entry


@pytest.mark.parametrize("name", sorted(NAMES))
def test_loading_names_the_command(name):
    with pytest.raises(zoo.ZooError, match=f"has no weights; train it with: attnflow train {name}"):
        zoo.load(name)


def test_the_smallest_is_a_flow_over_digits(digits):
    name = "attnflow-itrans-2x48-mnist"
    flow = zoo.load(name, weights=False)
    count = sum(math.prod(v.shape) for v in flow.trainable_variables)
    assert count == zoo.info(name)["parameters"]
    flow.adapt(digits[:8])
    x = flow.dequantize(digits[:2])
    latents, log_det = flow.encode(x)
    assert np.isfinite(log_det).all()
    np.testing.assert_array_equal(flow.to_uint8(flow.decode(latents)), digits[:2])


# Table 4: CelebA at 8x, by kind, levels and steps; table 5: Cityscapes.
SRFLOW = {(1, 1): 6_622_243, (2, 8): 13_253_875, (4, 16): 40_030_531}
UNUSED_SRFLOW = 276_576
CELEBA = [
    ("srflow", 1, 1),
    ("srflow", 2, 8),
    ("srflow", 4, 16),
    ("cattnflow-imap", 1, 1),
    ("cattnflow-imap", 2, 8),
    ("cattnflow-itrans", 1, 1),
    ("cattnflow-itrans", 2, 8),
]
CITYSCAPES = {
    "fullglow-4x16-cityscapes": ("FullGlow", 4, 16, None, 155_335_008),
    "fullglow-2x8-cityscapes": ("FullGlow", 2, 8, None, 34_654_752),
    "cattnflow-imap-2x8-cityscapes": ("FullGlow", 2, 8, "imap", 34_680_000),
    "cattnflow-itrans-2x8-cityscapes": ("FullGlow", 2, 8, "itrans", 34_700_000),
    "cglow-v1-cityscapes": ("CGlow", 3, 8, None, 70_170_000 - 98_304),
    "cglow-v2-cityscapes": ("CGlow", 4, 16, None, 76_480_000 - 49_152),
    "dualglow-cityscapes": ("DualGlow", 4, 16, None, 75_600_000),
}


@pytest.mark.parametrize(("kind", "levels", "steps"), CELEBA)
def test_configurations_on_celeba(kind, levels, steps):
    entry = zoo.info(f"{kind}-{levels}x{steps}-celeba")
    config = entry["config"]
    assert not entry["pretrained"]
    assert (config["levels"], config["steps"], config["scale"]) == (levels, steps, 8)
    assert config["image_shape"] == [160, 160, 3]
    assert config["attention"] == (None if kind == "srflow" else kind.split("-")[1])
    plain = SRFLOW[levels, steps] - UNUSED_SRFLOW
    assert plain <= entry["parameters"] < 1.01 * plain
    assert (entry["parameters"] == plain) == (kind == "srflow")


@pytest.mark.parametrize("name", CITYSCAPES)
def test_configurations_on_cityscapes(name):
    kind, levels, steps, attention, parameters = CITYSCAPES[name]
    entry = zoo.info(name)
    config = entry["config"]
    assert not entry["pretrained"]
    assert json.loads((PRESETS / name / "config.json").read_text())["class"] == kind
    assert (config["levels"], config["steps"], config.get("attention")) == (
        levels,
        steps,
        attention,
    )
    assert config["image_shape"] == [256, 256, 3]
    # The paper's number for its attentions fits no form that it states.
    assert abs(entry["parameters"] - parameters) < (40_000 if attention else 10_000)
    recipe = Recipe.from_dict(entry["training"]["recipe"])
    assert (recipe.dataset, recipe.batch_size, recipe.schedule) == ("cityscapes", 1, "linear")
    assert recipe.steps == 200 * recipe.steps_per_epoch
