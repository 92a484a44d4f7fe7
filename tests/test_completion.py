"""Completion of images by causal flows."""

import numpy as np
import pytest

from attnflow_keras.core.completion import value_order
from attnflow_keras.layers.token_order import TokenOrder
from attnflow_keras.models import CausalFlow
from tests.helpers import perturb

SMALL = {"patch": 2, "layers": 1, "width": 8, "heads": 2, "group": 3, "components": 3}


@pytest.fixture(scope="module")
def flow():
    flow = CausalFlow((6, 4, 1), **SMALL)
    perturb(flow, 0.1)
    return flow


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (3, 6, 4, 1), dtype="uint8")


def top(rows):
    return np.arange(6)[:, None] < rows * np.ones((6, 4))


def run(flow, images, mask, temperature=1.0, seed=0):
    return flow.complete(images, mask, temperature=temperature, seed=seed)


@pytest.mark.parametrize("order", ["raster", "reversed", "columns"])
def test_value_order_is_that_of_the_layer(order):
    shape = (6, 4, 2)
    tokens = TokenOrder(shape, 2, order, "neighbours")
    numbers = np.arange(48.0).reshape(1, *shape)
    expected = np.asarray(tokens.split(numbers)).reshape(-1).astype(int)
    np.testing.assert_array_equal(value_order(shape, 2, order), expected)


def test_what_is_known_stays_and_what_is_not_is_drawn_given_it(flow, images):
    mask = top(2)
    drawn = run(flow, images, mask)
    np.testing.assert_array_equal(drawn[:, :2], images[:, :2])
    assert (drawn[:, 2:] != images[:, 2:]).mean() > 0.9
    np.testing.assert_array_equal(run(flow, images, mask), drawn)
    assert (run(flow, images, mask, seed=1)[:, 2:] != drawn[:, 2:]).any()
    # What is unknown has no part in it; what is known has.
    other = images.copy()
    other[:, 2:] = 7
    np.testing.assert_array_equal(run(flow, other, mask), drawn)
    other = images.copy()
    other[:, :2] = 255 - other[:, :2]
    assert (run(flow, other, mask)[:, 2:] != drawn[:, 2:]).any()


def test_of_nothing_known_it_is_a_sample_and_of_all_known_the_image(flow, images):
    nothing = np.zeros((6, 4), bool)
    drawn = run(flow, images, nothing, temperature=0.8, seed=3)
    np.testing.assert_array_equal(drawn, flow.sample(3, temperature=0.8, seed=3))
    np.testing.assert_array_equal(run(flow, images, ~nothing), images)


def test_a_part_of_a_patch_may_be_known(flow, images):
    known = np.zeros(24, bool)
    known[value_order((6, 4, 1), 2, "raster")[:5]] = True
    mask = known.reshape(6, 4)
    drawn = run(flow, images, mask)
    np.testing.assert_array_equal(drawn[:, mask], images[:, mask])


def test_errors(flow, images):
    with pytest.raises(ValueError, match="the top 2, 4, 6, ... rows.*2 come after an unknown one"):
        run(flow, images, top(3))
    with pytest.raises(ValueError, match=r"mask must be bool \(6, 4\).*got float64"):
        run(flow, images, top(2).astype(float))
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 6, 4, 1\)"):
        run(flow, images / 255, top(2))
    stack = CausalFlow((6, 4, 1), **SMALL, blocks=2)
    with pytest.raises(ValueError, match="complete needs a causal flow with a single block"):
        run(stack, images, top(2))


@pytest.fixture(scope="module")
def classifier():
    flow = CausalFlow((6, 4, 1), **SMALL, classes=3, condition_width=4)
    perturb(flow, 0.1)
    return flow


def test_class_probabilities_are_those_of_bayes_rule(classifier, images):
    found = classifier.class_probabilities(images)
    scores = [classifier.log_prob(images, np.full(3, label)) for label in range(3)]
    odds = np.exp(np.stack(scores, 1) - np.max(scores, axis=0)[:, None])
    np.testing.assert_allclose(found, odds / odds.sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    prior = [0.5, 0.25, 0.25]
    weighed = found * prior / (found * prior).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.class_probabilities(images, prior), weighed, rtol=1e-4)


def test_a_label_stands_for_the_condition(classifier):
    drawn = classifier.sample(2, label=1, seed=0)
    np.testing.assert_array_equal(drawn, classifier.sample(2, np.array([1, 1]), seed=0))
    assert (drawn != classifier.sample(2, label=2, seed=0)).any()


def test_errors_of_classes(classifier, flow, images):
    with pytest.raises(ValueError, match="label must be an integer from 0 to 2; got 3"):
        classifier.sample(label=3)
    with pytest.raises(ValueError, match="label and condition exclude one another"):
        classifier.sample(1, np.array([0]), label=0)
    with pytest.raises(ValueError, match="needs a flow for class-conditional images"):
        flow.sample(label=0)
    with pytest.raises(ValueError, match="class_probabilities needs a flow for class-conditional"):
        flow.class_probabilities(images)
    with pytest.raises(ValueError, match="prior must be 3 positive probabilities that sum to 1"):
        classifier.class_probabilities(images, [0.5, 0.5, 0.5])
