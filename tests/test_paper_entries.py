"""Entries without weights: the paper's configurations."""

import math

import numpy as np
import pytest

import zoo
from attnflow_keras.data.datasets import LICENSES
from attnflow_keras.training import Recipe
from tests.test_marflow import PAPER_ATTENTION, SIZES, TOTALS, UNUSED

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
    assert entry["dataset_license"] == LICENSES[data]
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
    np.testing.assert_array_equal(flow.quantize(flow.decode(latents)), digits[:2])
