"""Bayes classification by a flow's likelihoods."""

import json

import numpy as np
import pytest

from attnflow_keras.metrics import evaluate_bits_per_dim, evaluate_classification
from zoo.card import result_lines, result_table
from zoo.schema import Classification, check
from zoo.tasks import tasks

pytestmark = pytest.mark.eager

IMAGES = np.zeros((8, 2, 2, 1), "uint8")
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1], "uint8")


class Oracle:
    """Scores known beforehand: bits of each image for each class, and noise by the seed."""

    bits = 1.0 + np.random.default_rng(0).uniform(0, 1, (8, 3))

    def __init__(self):
        # The own class is the best of all but the first two images.
        self.bits = self.bits.copy()
        self.bits[np.arange(8), LABELS] = 0.5
        self.bits[:2, 2] = 0.1
        self.seeds = []

    def get_config(self):
        return {"classes": 3}

    def bits_per_dim(self, images, condition, seed, batch_size, progress):
        self.seeds.append(seed)
        if progress is not None:
            progress(len(images))
        return self.bits[np.arange(len(images)), condition] + 0.001 * seed


def test_accuracy_and_bits():
    flow, seen = Oracle(), []
    result = evaluate_classification(
        flow, IMAGES, LABELS, 3, "mine", draws=2, seed=4, progress=seen.append
    )
    right = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    assert result["accuracy"]["mean"] == 75.0
    expected = 100 * right.std(ddof=1) / np.sqrt(8)
    assert result["accuracy"]["standard_error"] == pytest.approx(expected, abs=1e-4)
    assert result["bits_per_dim"]["value"] == pytest.approx(0.5045, abs=1e-5)
    assert result["bits_per_dim"]["draws"] == 2
    # The same noise for each class.
    assert flow.seeds == [4, 5] * 3
    assert seen == [8 * n for n in range(1, 7)]
    own = evaluate_bits_per_dim(flow, IMAGES, "mine", 2, 4, condition=LABELS)
    assert own == result["bits_per_dim"]
    json.dumps(result)
    check(result, Classification)
    text = "\n".join(result_lines(result))
    assert "class of highest likelihood  75.000 ± 16.366" in text
    assert "0.5045 ± 0.0000 bits_per_dim, mean of 2 draws of noise" in text
    assert "| class of highest likelihood | 75.000 ± 16.366 |" in result_table(result)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": LABELS[:3]},
            r"labels must be integers of shape \(8,\); got uint8 of shape \(3,",
        ),
        ({"labels": LABELS / 2}, "labels must be integers"),
        ({"labels": LABELS + 1}, "labels must be classes 0 to 2; got 1 to 3"),
        ({"classes": 1}, "classes must be an integer of at least 2; got 1"),
        ({"draws": 0}, "draws must be an integer of at least 1; got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0; got -1"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"labels": LABELS, "classes": 3, "split": "mine", **changes}
    with pytest.raises(ValueError, match=message):
        evaluate_classification(Oracle(), IMAGES, **arguments)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_score_that_is_not_finite(number):
    flow = Oracle()
    flow.bits[3, number] = np.nan
    with pytest.raises(ValueError, match="score of image 3 of mine is not finite"):
        evaluate_classification(flow, IMAGES, LABELS, 3, "mine")


def test_the_task_gives_it():
    from contextlib import nullcontext

    from zoo.tasks.base import Evaluation

    totals = []

    def working(text, total):
        totals.append(total)
        return nullcontext()

    how = Evaluation("mine", None, 4, 1, 2, None, None, working)
    result = tasks()["class-conditional"].evaluate(Oracle(), IMAGES, LABELS, how)
    assert result["accuracy"]["mean"] == 75.0
    assert totals == [3 * 2 * 8]
    assert result["name"] == tasks()["class-conditional"].result
