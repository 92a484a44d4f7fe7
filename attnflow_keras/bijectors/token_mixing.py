"""Mix the cells of a grid by one small matrix an image and head."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, condition_number
from attnflow_keras.ops.elimination import solve_and_log_det

Tensor = Any


class TokenMixing(FlowBijector):
    """``T(y) = W_r T(x)`` for the feature columns of each head ``r``.

    T cuts ``(h, w, c)`` into ``N = gh gw`` tokens of ``P = h w c / N`` features (row-major
    cells, then row, column and channel inside the cell). Columns that belong to no head stay
    as they are. ``log|det| = sum_r n_r log|det W_r|`` with ``n_r`` the columns of head r.

    >>> matrix = np.broadcast_to(0.9 * np.eye(4, dtype="float32") + 0.01, (2, 1, 4, 4))
    >>> mix = bijectors.TokenMixing(matrix, head_of_column=np.zeros(12, int), grid=(2, 2))
    >>> y, log_det = mix.forward_and_log_det(np.ones((2, 4, 4, 3), "float32"))
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 3), (2,))

    Args:
        matrix: ``(n, heads, N, N)``.
        head_of_column: ``(P,)`` integers, the head of each column or -1.
        grid: ``(gh, gw)``.
        dominant: whether the matrices are strictly diagonally dominant by rows. Others are
            solved with pivoting, and the sign of their determinant is ignored.
        name: name of the bijector.
    """

    def __init__(
        self,
        matrix: Tensor,
        head_of_column: np.ndarray,
        grid: tuple[int, int],
        dominant: bool = True,
        name: str = "token_mixing",
    ) -> None:
        heads = matrix.shape[1]
        self.matrix = matrix
        self.grid = grid
        self.pivot = not dominant
        member = head_of_column[None, :] == np.arange(heads)[:, None]
        self.member = member.astype("float32")  # (heads, P)
        self.passing = (head_of_column < 0).astype("float32")
        self.columns = member.sum(axis=1).astype("float32")  # n_r
        super().__init__(name=name, matrix=matrix)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = to_tokens(x, self.grid)
        mixed = ops.matmul(self.matrix, ops.expand_dims(tokens, 1))
        _, log_det = solve_and_log_det(self.matrix, None, self.pivot)
        return self._back(tokens, mixed, x), self._total(log_det)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        tokens = to_tokens(y, self.grid)
        if self.pivot:
            n, count, size = ops.shape(tokens)
            right = ops.expand_dims(tokens, 1)
            right = ops.broadcast_to(right, (n, len(self.member), count, size))
            solved, log_det = solve_and_log_det(self.matrix, right, True)
        else:
            # Far fewer operations than on the tokens themselves, and as exact: the condition
            # number of a dominant matrix is bounded.
            identity = ops.zeros_like(self.matrix) + ops.cast(
                np.eye(self.matrix.shape[-1]), self.matrix.dtype
            )
            inverse, log_det = solve_and_log_det(self.matrix, identity)
            solved = ops.matmul(inverse, ops.expand_dims(tokens, 1))
        return self._back(tokens, solved, y), -self._total(log_det)

    def statistics(self) -> dict[str, Any]:
        found = {"condition_number": condition_number(self.matrix)}
        if self.pivot:
            matrices = np.asarray(ops.convert_to_numpy(self.matrix), dtype="float64")
            negative = np.linalg.slogdet(matrices)[0] < 0
            found["negative_determinants"] = float(negative.mean())
        return found

    def _back(self, tokens: Tensor, by_head: Tensor, like: Tensor) -> Tensor:
        """A map with each column from the head that it belongs to, or as it was."""
        if len(self.member) == 1:
            member = ops.convert_to_tensor(self.member.astype("bool"))
            chosen = ops.where(member, by_head[:, 0], tokens)
            return from_tokens(chosen, self.grid, like)
        member = ops.convert_to_tensor(self.member, dtype=tokens.dtype)
        passing = ops.convert_to_tensor(self.passing, dtype=tokens.dtype)
        chosen = ops.sum(by_head * member[None, :, None, :], axis=1)
        return from_tokens(chosen + tokens * passing, self.grid, like)

    def _total(self, log_det: Tensor) -> Tensor:
        columns = ops.convert_to_tensor(self.columns, dtype=log_det.dtype)
        return ops.sum(log_det * columns, axis=-1)


def to_tokens(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """``(n, h, w, c)`` to ``(n, gh gw, (h / gh) (w / gw) c)``."""
    gh, gw = grid
    n, h, w, c = ops.shape(x)
    tokens = ops.reshape(x, (n, gh, h // gh, gw, w // gw, c))
    tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
    return ops.reshape(tokens, (n, gh * gw, (h // gh) * (w // gw) * c))


def from_tokens(tokens: Tensor, grid: tuple[int, int], like: Tensor) -> Tensor:
    """Undo :func:`to_tokens`; ``like`` is any tensor of the map's shape."""
    gh, gw = grid
    n, h, w, c = ops.shape(like)
    x = ops.reshape(tokens, (n, gh, gw, h // gh, w // gw, c))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (n, h, w, c))
