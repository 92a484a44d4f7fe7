"""High-resolution images: restored in tiles, without seams."""

import numpy as np
import pytest

from attnflow_keras.core.tiles import ramp, starts
from tests.helpers import perturb
from tests.model_table import make_srflow


@pytest.fixture(scope="module")
def flow():
    flow = make_srflow(image_shape=(16, 16, 3), split="all")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 16, 16, 3)).astype("uint8")
    flow.adapt({"image": images, "condition": images[:, ::4, ::4]})
    return perturb(flow, 0.01)


@pytest.fixture(scope="module")
def picture():
    """A smooth image of odd sides."""
    y, x = np.mgrid[:23, :37] / 37
    channels = [np.sin(4 * x + 3 * y), np.cos(5 * x * y), y - x]
    return (127 + 60 * np.stack(channels, axis=-1)).astype("uint8")


def test_tiles_cover_a_side():
    assert starts(8, 8, 2) == [0]
    assert starts(20, 8, 2) == [0, 6, 12]
    assert starts(21, 8, 2) == [0, 6, 12, 13]
    for side in range(9, 40):
        covered = {i for start in starts(side, 8, 2) for i in range(start, start + 8)}
        assert covered == set(range(side))


def test_weights_rise_over_the_overlap():
    weights = ramp(8, 2, 4)
    assert weights.shape == (32,)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights[:8], (np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(weights[:8] + weights[-8:], 1.0)
    assert (weights[8:-8] == 1).all()


def test_a_small_picture_is_restored_at_once(flow, picture):
    small = picture[:8, :7]
    together = flow.sample(2, small[None], temperature=0.5, seed=3)
    np.testing.assert_array_equal(flow.restore(small, 2, 0.5, 3), together)


def test_tiles_agree_with_the_whole_picture(flow, picture):
    calls = []
    tiled = flow.restore(
        picture, 1, 0.7, 1, tile=16, overlap=6, progress=lambda *done: calls.append(done)
    )
    assert tiled.shape == (1, 92, 148, 3)
    assert calls[-1] == (8, 8)
    whole = flow.restore(picture, 1, 0.7, 1, tile=64)
    # Latents are those of the padded image in both.
    error = np.abs(tiled.astype(int) - whole.astype(int))
    assert np.median(error) <= 1
    assert error.mean() < 2


def test_seams_are_not_seen(flow, picture):
    tiled = flow.restore(picture, 1, 0.7, 1, tile=16, overlap=6)[0].astype(float)
    steps = np.abs(np.diff(tiled, axis=1)).mean(axis=(0, 2))
    borders = [4 * start - 1 for start in starts(37, 16, 6)[1:]]
    borders += [4 * (start + 16) - 1 for start in starts(37, 16, 6)[:-1]]
    elsewhere = np.delete(steps, borders)
    assert steps[borders].mean() < elsewhere.mean() + 3 * elsewhere.std() / len(borders) ** 0.5


def test_samples_differ_and_are_repeatable(flow, picture):
    two = flow.restore(picture, 2, 0.7, 5, tile=16, overlap=4)
    assert (two[0] != two[1]).any()
    again = flow.restore(picture, 1, 0.7, 5, tile=16, overlap=4)
    np.testing.assert_array_equal(again[0], two[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be an integer of at least 1; got 0"),
        ({"tile": 16, "overlap": 9}, "overlap must be at most half of tile=16; got 9"),
        ({"tile": 16, "overlap": -1}, "overlap must be an integer of at least 0; got -1"),
        ({"tile": 16, "temperature": -1.0}, "temperature must be a number of at least 0"),
    ],
)
def test_wrong_arguments(flow, picture, arguments, message):
    with pytest.raises(ValueError, match=message):
        flow.restore(picture, **arguments)


def test_wrong_pictures(flow, picture):
    with pytest.raises(ValueError, match="picture must be one low-resolution image, uint8"):
        flow.restore(picture[..., :1])
    with pytest.raises(ValueError, match="got float64"):
        flow.restore(picture / 255)
    with pytest.raises(ValueError, match="sample takes several at once"):
        flow.restore(picture[None])
