"""Splits of a map into the identity and the transformed part of a coupling."""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any


class HalfSplit:
    """The first half of the channels is transformed, the second is the identity part (mAR-SCF).

    With an odd number of channels the transformed half is the smaller one.
    """

    def __init__(self, channels: int) -> None:
        if channels < 2:
            raise ValueError(
                f"a coupling on channel halves needs at least 2 channels; got {channels}"
            )
        self.transformed_channels = channels // 2
        self.identity_channels = channels - self.transformed_channels

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(identity, transformed)``."""
        return x[..., self.transformed_channels :], x[..., : self.transformed_channels]

    def join(self, identity: Tensor, transformed: Tensor) -> Tensor:
        """Undo :meth:`split`."""
        return ops.concatenate([transformed, identity], axis=-1)


class MaskSplit:
    """The identity part is where the mask is 1; both parts have the full shape.

    Args:
        mask: ``(h, w, c)`` of 0 and 1.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask
        self.identity_channels = self.transformed_channels = mask.shape[-1]

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(identity, transformed)``, each zero where the other is not."""
        mask = ops.cast(self.mask, x.dtype)
        return x * mask, x * (1.0 - mask)

    def join(self, identity: Tensor, transformed: Tensor) -> Tensor:
        """Undo :meth:`split`."""
        return identity + transformed
