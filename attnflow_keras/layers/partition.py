"""How a coupling tells the part that it keeps from the part that it moves."""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any


class HalfSplit:
    """The second half of the channels is kept, the first is moved (mAR-SCF's convention).

    With an odd number of channels the moved half is the smaller one.
    """

    def __init__(self, channels: int) -> None:
        if channels < 2:
            raise ValueError(
                f"a coupling on channel halves needs at least 2 channels; got {channels}"
            )
        self.moved_channels = channels // 2
        self.kept_channels = channels - self.moved_channels

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(kept, moved)``."""
        return x[..., self.moved_channels :], x[..., : self.moved_channels]

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Undo :meth:`split`."""
        return ops.concatenate([moved, kept], axis=-1)


class MaskSplit:
    """Elements where the mask is 1 are kept, the others moved; both parts keep the full shape.

    Args:
        mask: ``(h, w, c)`` of 0 and 1.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask
        self.kept_channels = self.moved_channels = mask.shape[-1]

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(kept, moved)``, each zero where the other is not."""
        mask = ops.cast(self.mask, x.dtype)
        return x * mask, x * (1.0 - mask)

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Undo :meth:`split`."""
        return kept + moved
