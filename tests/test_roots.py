"""Roots of increasing functions: right, and one element's has nothing to do with the others."""

import numpy as np
import pytest
from keras import ops

from attnflow_keras.ops.roots import increasing_root


def cubic(x):
    return x**3 + 0.1 * x, 3.0 * x**2 + 0.1


def solve(target, waits=True, tolerance=1e-6):
    target = ops.convert_to_tensor(np.asarray(target, "float32"))
    ends = 100.0 * ops.ones_like(target)
    found = increasing_root(cubic, target, 0.9 * ends, -ends, ends, 60, tolerance, 1.0, waits=waits)
    return np.asarray(found)


# From close to where the search starts to far from it.
TARGETS = np.array([700_000.0, 5.0, 0.0, -3.0, -900_000.0])


def test_roots():
    np.testing.assert_allclose(cubic(solve(TARGETS))[0], TARGETS, rtol=1e-5, atol=1e-5)


def test_an_element_does_not_depend_on_its_batch():
    together = solve(TARGETS, tolerance=0.01)
    alone = np.concatenate([solve([target], tolerance=0.01) for target in TARGETS])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("others", [[], [5.0], [0.0, -900_000.0]])
def test_nor_does_one_that_the_search_does_not_wait_for(others):
    waits = np.array([False] + [True] * len(others))
    found = solve([700_000.0, *others], waits)
    assert found[0] == solve([700_000.0], np.array([False]))[0]
