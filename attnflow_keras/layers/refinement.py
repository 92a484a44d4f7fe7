"""An order of an image's values from fine to coarse."""

import numpy as np


def refinement_stages(shape: tuple[int, int, int]) -> np.ndarray:
    """The stage of each value of a map, 0 for the finest, as integers of the map's shape.

    Pixels are ordered as in interlaced images and in the parallel multiscale networks of Reed et
    al. (arXiv:1703.03664), by halves: stage 0 are the pixels of one colour of a checkerboard,
    stage 1 the odd rows and columns of the other colour, and the same again on the grid that is
    left, which is half as wide, down to a single pixel. Channels of a pixel take turns, the last
    one first.

    >>> refinement_stages((4, 4, 1))[..., 0]
    array([[4, 0, 2, 0],
           [0, 1, 0, 1],
           [2, 0, 3, 0],
           [0, 1, 0, 1]])

    Args:
        shape: ``(height, width, channels)``.
    """
    height, width, channels = shape
    y, x = np.mgrid[:height, :width]
    stages = np.full((height, width), -1)
    stage, step = 0, 1
    while step < max(height, width):
        down, right = y // step % 2, x // step % 2
        left = stages < 0
        for now in (down != right, (down == 1) & (right == 1)):
            found = left & now
            stages[found] = stage
            stage += bool(found.any())
        step *= 2
    stages[stages < 0] = stage
    return stages[..., None] * channels + np.arange(channels)[::-1]
