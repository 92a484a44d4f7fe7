"""The binary masks of the paper's attentions (section 4, figure 2).

1 marks an element of the identity part, which feeds the attention, 0 one that the attention
transforms. Masks are NumPy arrays, so that a graph holds them as constants.
"""

import numpy as np

from attnflow_keras.core.checks import check_choice, check_integer, check_sides

MASKS = ("spatial", "channel", "channel_alternating", "random", "spatial_channel")


def make_mask(kind: str, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """A mask of the given kind.

    Args:
        kind: ``"spatial"`` checkerboard ``(i + j) mod 2``; ``"channel"``, the first half of the
            channels; ``"channel_alternating"``, every second channel, ``c mod 2``;
            ``"spatial_channel"``, ``(i + j + c) mod 2``, the paper's choice; ``"random"``, a
            balanced draw that is the same for a seed on every machine.
        shape: ``(height, width, channels)``.
        seed: seed of the random mask.

    Returns:
        float32 array of the given shape with values 0 and 1.

    Raises:
        ValueError: an unknown kind, or a shape in which one of the two parts is empty.
    """
    check_choice("mask", kind, MASKS)
    h, w, c = sides = check_sides("shape", shape)
    i, j, k = np.ogrid[:h, :w, :c]
    if kind == "spatial":
        mask = (i + j + 0 * k) % 2
    elif kind == "channel":
        mask = (k < c // 2) + 0 * (i + j)
    elif kind == "channel_alternating":
        mask = k % 2 + 0 * (i + j)
    elif kind == "spatial_channel":
        mask = (i + j + k) % 2
    else:
        check_integer("seed", seed, 0)
        # Raw Philox output is stable between NumPy versions, which permutation() is not.
        draws = np.random.Philox(key=seed).random_raw(h * w * c)
        mask = np.zeros(h * w * c, dtype=int)
        mask[np.argsort(draws, kind="stable")[: h * w * c // 2]] = 1
        mask = mask.reshape(sides)
    ones = int(mask.sum())
    if ones in (0, mask.size):
        raise ValueError(
            f"mask={kind!r} keeps {ones} of {mask.size} elements of a map of shape {shape}; "
            "an attention needs both identity and transformed elements"
        )
    return mask.astype("float32")
