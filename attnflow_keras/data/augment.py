"""Augmentation of training images, a function of the seed and the step."""

from collections.abc import Callable

import numpy as np

from attnflow_keras.core import noise

AUGMENT = 2**32  # stream of step 0; each step has its own, far from those of the data order

PAD = 3


def shift_flip(images: np.ndarray, seed: int, step: int) -> np.ndarray:
    """Shift by a few pixels and flip, as mAR-SCF does on CIFAR-10.

    An image is padded by 3 pixels that repeat its edge, and cropped from position s, drawn from
    0 to 5: an offset of -3 to +2 pixels. That happens along x with probability 1/2 and along y
    otherwise, never along both. A horizontal flip follows with probability 1/2.

    Args:
        images: ``(n, h, w, c)``, any dtype.
        seed: seed of the run.
        step: training step, which determines the noise.

    Returns:
        New images of the same shape and dtype.
    """
    n = len(images)
    rng = noise.generator(seed, AUGMENT + step)
    offset = rng.integers(0, 2 * PAD, n) - PAD
    along_x = rng.integers(0, 2, n) == 0
    flip = rng.integers(0, 2, n) == 1
    return _read_at(images, np.where(along_x, 0, offset), np.where(along_x, offset, 0), flip)


def shift(images: np.ndarray, seed: int, step: int) -> np.ndarray:
    """Shift half of the images by up to one pixel, for images with an empty border.

    With probability 1/2 an image is unchanged; otherwise the offset along each axis is -1, 0 or 1,
    all nine equally likely. New pixels repeat the edge.

    Args:
        images: ``(n, h, w, c)``, any dtype.
        seed: seed of the run.
        step: training step, which determines the noise.

    Returns:
        New images of the same shape and dtype.
    """
    n = len(images)
    rng = noise.generator(seed, AUGMENT + step)
    down, right = rng.integers(-1, 2, (2, n)) * rng.integers(0, 2, n)
    return _read_at(images, -down, -right, np.zeros(n, bool))


def recolor(images: np.ndarray, seed: int, step: int) -> np.ndarray:
    """Change the colours of a quarter of the images by a symmetry of the RGB cube.

    The channels are permuted, and each is inverted (``255 - x``) with probability 1/2: one of the
    48 symmetries, all equally likely. They map grey levels one to one, so that likelihoods stay
    comparable and textures are unchanged, but they add colours that the data lacks, which a flow
    must know to restore images unlike its training data.

    Args:
        images: uint8 ``(n, h, w, 3)``.
        seed: seed of the run.
        step: training step, which determines the noise.

    Returns:
        New images of the same shape and dtype.
    """
    rng = noise.generator(seed, AUGMENT + step)
    changed = images.copy()
    for index in range(len(images)):
        # Drawn for every image, so that an image's draws don't depend on those before it.
        chosen, order = rng.integers(0, 4) == 0, rng.permutation(3)
        inverted = rng.integers(0, 2, 3) == 1
        if chosen:
            image = images[index][..., order]
            changed[index] = np.where(inverted, 255 - image, image)
    return changed


AUGMENTATIONS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "shift": shift,
    "shift_flip": shift_flip,
    "recolor": recolor,
}


def _read_at(images: np.ndarray, top: np.ndarray, left: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Images read from row ``top`` and column ``left`` on, one of each an image, then flipped."""
    n, height, width, _ = images.shape
    # Reading beyond the edge is reading the edge: no padded copy is made.
    rows = np.clip(np.arange(height) + top[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) + left[:, None], 0, width - 1)
    columns = np.where(flip[:, None], columns[:, ::-1], columns)
    return images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
