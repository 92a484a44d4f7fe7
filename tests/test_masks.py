"""The four masks and the head assignment."""

import numpy as np
import pytest

from attnflow_keras.layers.itrans import assign_heads, valid_grids
from attnflow_keras.layers.masks import MASKS, make_mask


def test_patterns():
    np.testing.assert_array_equal(
        make_mask("spatial", (2, 3, 1), 0)[..., 0], [[0, 1, 0], [1, 0, 1]]
    )
    np.testing.assert_array_equal(make_mask("channel", (1, 1, 5), 0)[0, 0], [1, 1, 0, 0, 0])
    mask = make_mask("spatial_channel", (3, 3, 4), 0)
    for i, j, c in np.ndindex(mask.shape):
        assert mask[i, j, c] == (i + j + c) % 2


@pytest.mark.parametrize("kind", MASKS)
def test_masks_are_balanced_on_even_maps(kind):
    mask = make_mask(kind, (4, 6, 4), 1)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask.mean() == 0.5


def test_random_mask_is_fixed_by_its_seed():
    first = make_mask("random", (4, 4, 2), 7)
    np.testing.assert_array_equal(first, make_mask("random", (4, 4, 2), 7))
    assert (first != make_mask("random", (4, 4, 2), 8)).any()
    # The draw itself is part of the file format: saved models rely on it.
    np.testing.assert_array_equal(make_mask("random", (2, 2, 2), 0).ravel(), EXPECTED)


EXPECTED = [1, 1, 1, 0, 0, 1, 0, 0]


def test_mask_that_keeps_nothing():
    with pytest.raises(ValueError, match="keeps 0 of 9"):
        make_mask("channel", (3, 3, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("channel", (4, 4)), r"shape must be \(height, width, channels\); got \(4, 4\)"),
        (("channel", 4), "shape must be"),
        (("channel", (4, 0, 2)), "shape must be"),
        (("random", (4, 4, 2), -1), "seed must be an integer of at least 0; got -1"),
        (("diagonal", (4, 4, 2)), "mask must be one of"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_mask(*arguments)


def test_heads_share_the_columns():
    mask = make_mask("spatial_channel", (3, 3, 4))
    for heads in (1, 3, 5):
        head = assign_heads(mask, heads)
        assert (head >= 0).sum() == (mask == 0).sum()
        assert set(head[head >= 0]) == set(range(heads))
        assert ((head < 0) == (mask.ravel() == 1)).all()
    # rank among the transformed channels at that place, plus the place
    head = assign_heads(mask, 3).reshape(3, 3, 4)
    assert head[0, 0].tolist() == [0, -1, 1, -1]
    assert head[1, 2].tolist() == [-1, 0, -1, 1]


def test_valid_grids_divide():
    assert (7, 1) in valid_grids((7, 7))
    assert (2, 2) not in valid_grids((7, 7))
    assert all(2 <= a * b <= 16 for a, b in valid_grids((8, 12)))
