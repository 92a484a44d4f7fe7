"""A condition map cut into the tokens of a flow's map."""

from typing import Any

from keras import ops

from attnflow_keras.layers.token_order import TokenOrder

Tensor = Any


class TokenCondition:
    """The part of the condition that belongs to each token of a map.

    Args:
        patch: side of a token in the map.
        channels: channels of the condition.
        scale: by how much the condition map is smaller than the map: 1, or another integer that
            divides ``patch`` or is a multiple of it; None where it is one vector
            ``(n, 1, 1, channels)``.
    """

    def __init__(self, patch: int, channels: int, scale: int | None) -> None:
        self.channels = channels
        self.scale = scale
        self.patch, self.times = _patch_and_times(patch, scale)

    @property
    def features(self) -> int:
        """Channels that a token gets."""
        return self.patch**2 * self.channels

    def sides(self, sides: tuple[Any, ...]) -> tuple[Any, ...]:
        """Height and width of the condition map for a map of these."""
        if self.scale is None:
            return (1, 1)
        return tuple(side // self.scale for side in sides)

    def split(self, condition: Tensor, tokens: TokenOrder) -> Tensor:
        """``(n, tokens, features)``; ``(n, 1, features)`` of one vector."""
        if self.scale is None:
            return ops.reshape(condition, (-1, 1, self.channels))
        if self.times > 1:
            condition = ops.repeat(ops.repeat(condition, self.times, axis=1), self.times, axis=2)
        return tokens.split(condition, self.patch)


def _patch_and_times(patch: int, scale: int | None) -> tuple[int, int]:
    """Side of a token in the condition map, and by how much that is repeated before."""
    if scale is None:
        return 1, 1
    if scale >= 1 and patch % scale == 0:
        return patch // scale, 1
    if scale >= 1 and scale % patch == 0:
        return 1, scale // patch
    raise ValueError(
        f"condition_scale must divide patch ({patch}), be a multiple of it, or be None; "
        f"got {scale!r}"
    )
