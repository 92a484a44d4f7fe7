"""Augmentation of training images: shift and flip, other colours."""

import numpy as np
import pytest

from attnflow_keras.data.augment import recolor, shift, shift_flip
from attnflow_keras.data.bicubic import downscale
from attnflow_keras.data.sources import PictureCrops, SmallAndLarge, WholePictures
from attnflow_keras.training.order import OrderedImages, batches


def positions(n, height=9, width=11):
    """Images whose pixels say where they are."""
    y, x = np.mgrid[:height, :width].astype("uint8")
    return np.broadcast_to(np.stack([y, x], axis=-1), (n, height, width, 2)).copy()


def offsets(images):
    """(y offset, x offset, flipped) of augmented position images, from their middle."""
    _, height, width, _ = images.shape
    y, x = height // 2, width // 2
    middle = images[:, y, x].astype(int)
    flipped = images[:, y, x + 1, 1].astype(int) < middle[:, 1]
    # The middle column stays where it is when an odd width is flipped.
    return middle[:, 0] - y, middle[:, 1] - x, flipped


def test_offsets_and_flips_have_the_reference_distribution():
    n = 60_000
    dy, dx, flipped = offsets(shift_flip(positions(n), seed=0, step=0))
    assert not ((dy != 0) & (dx != 0)).any(), "never along both axes"
    # Along each axis with 1/2: six offsets of 1/12 each, and 1/2 + 1/12 of nothing.
    for offset in (dy, dx):
        values, counts = np.unique(offset, return_counts=True)
        assert values.tolist() == [-3, -2, -1, 0, 1, 2]
        expected = np.where(values == 0, 7 / 12, 1 / 12)
        error = np.sqrt(expected * (1 - expected) / n)
        assert (np.abs(counts / n - expected) < 4 * error).all()
    assert abs(flipped.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
    # Flip and shift do not depend on each other.
    assert abs(flipped[dx == -3].mean() - 0.5) < 4 * 0.5 / np.sqrt(n / 12)
    assert abs(flipped[dy == 2].mean() - 0.5) < 4 * 0.5 / np.sqrt(n / 12)


def reference(image, s, along_x, flip):
    """The same with a padded copy, as mAR-SCF says it."""
    height, width, _ = image.shape
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), mode="edge")
    top, left = (3, s) if along_x else (s, 3)
    cut = padded[top : top + height, left : left + width]
    return cut[:, ::-1] if flip else cut


def test_every_image_is_the_reference_with_edges_repeated():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 6, 5, 3), dtype="uint8")
    moved = shift_flip(images, seed=3, step=7)
    assert moved.dtype == np.uint8
    assert moved.shape == images.shape
    for before, after in zip(images, moved, strict=True):
        candidates = [
            reference(before, s, along_x, flip)
            for s in range(6)
            for along_x in (True, False)
            for flip in (True, False)
        ]
        assert any((candidate == after).all() for candidate in candidates)
    assert not np.shares_memory(images, moved)


def test_noise_is_a_function_of_seed_and_step():
    images = positions(64)
    first = shift_flip(images, 1, 5)
    np.testing.assert_array_equal(shift_flip(images, 1, 5), first)
    assert (shift_flip(images, 1, 6) != first).any()
    assert (shift_flip(images, 2, 5) != first).any()


def test_batches_are_augmented_by_step_and_resume():
    images = positions(40)
    plain = OrderedImages(images, 8, 1)
    ordered = OrderedImages(images, 8, 1, augment="shift_flip")
    seen = [batch for (batch,), _ in zip(ordered, range(10), strict=False)]
    for step, batch in enumerate(seen):
        np.testing.assert_array_equal(batch, shift_flip(plain.batch(step), 1, step))
    resumed = OrderedImages(images, 8, 1, start_step=7, augment="shift_flip")
    np.testing.assert_array_equal(next(iter(resumed))[0], seen[7])
    assert (images == positions(40)).all(), "the data itself stays"


def test_an_unknown_augmentation():
    with pytest.raises(
        ValueError, match="augment must be one of None, shift, shift_flip, recolor; got 'flip'"
    ):
        OrderedImages(positions(4), 2, 0, augment="flip")


def test_half_of_the_images_are_shifted_by_a_pixel_at_most():
    n = 9_000
    dy, dx, flipped = offsets(shift(positions(n), seed=0, step=0))
    assert not flipped.any()
    assert np.unique(dy).tolist() == np.unique(dx).tolist() == [-1, 0, 1]
    # 1/2 stays, and a ninth of the others.
    assert abs(((dy == 0) & (dx == 0)).mean() - (0.5 + 0.5 / 9)) < 0.02


def test_recolored_images_take_each_symmetry_of_the_cube():
    n = 24_000
    # Three levels that stay apart when any of them is inverted: the result tells the symmetry.
    images = np.broadcast_to(np.array([10, 50, 90], dtype="uint8"), (n, 2, 1, 3))
    changed = recolor(images, seed=0, step=0)
    assert changed.dtype == np.uint8
    assert (changed == changed[:, :1]).all(), "one symmetry for a whole image"
    symmetries, counts = np.unique(changed[:, 0, 0], axis=0, return_counts=True)
    assert len(symmetries) == 48
    same = (symmetries == (10, 50, 90)).all(axis=-1)
    expected = np.where(same, 3 / 4 + 1 / 192, 1 / 192)
    assert (np.abs(counts / n - expected) < 4 * np.sqrt(expected * (1 - expected) / n)).all()


def test_recoloring_is_a_function_of_seed_and_step():
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 2, 3), dtype="uint8")
    kept = images.copy()
    first = recolor(images, seed=1, step=5)
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(first, recolor(images, seed=1, step=5))
    np.testing.assert_array_equal(first[:9], recolor(images[:9], seed=1, step=5))
    assert (first != recolor(images, seed=1, step=6)).any()
    assert (first != recolor(images, seed=2, step=5)).any()


def test_pairs_are_augmented_before_they_are_made_small():
    pictures = [np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype="uint8")]
    source = SmallAndLarge(PictureCrops(pictures, 16, 8), 4)
    plain, augmented = (batches(source, 12, 0, 0, name).batch(3) for name in (None, "recolor"))
    np.testing.assert_array_equal(augmented["image"], recolor(plain["image"], 0, 3))
    assert (augmented["image"] != plain["image"]).any()
    np.testing.assert_array_equal(augmented["condition"], downscale(augmented["image"], 4))
    told = source.augmented("recolor").fingerprint()
    assert told == {**source.fingerprint(), "augment": "recolor"}


def test_a_source_that_cannot_be_augmented_says_so():
    with pytest.raises(ValueError, match=r"augment='recolor' and a WholePictures"):
        batches(WholePictures(np.zeros((2, 4, 4, 3), "uint8")), 2, 0, augment="recolor")
    with pytest.raises(ValueError, match="augment must be one of None, "):
        SmallAndLarge(None, 4, augment="colour")
