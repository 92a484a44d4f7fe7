"""Invertible transformer attention (iTrans)."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import TokenMixing
from attnflow_keras.bijectors.token_mixing import to_tokens
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.coupling import Coupling
from attnflow_keras.layers.masks import MASKS, make_mask
from attnflow_keras.layers.partition import MaskSplit
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

MAX_TOKENS = 16
# Bound of |gamma| for each activation: below 1, so that W is strictly diagonally dominant.
GAMMA_MAX = {"sigmoid": 0.9, "softmax": 0.5}
FORMS = ("stable", "paper")
COMBINES = ("feature", "mean")
PAPER_CAVEAT = (
    "form='paper' is not a flow: W = A is singular where its determinant passes through 0, and "
    "its sign is ignored; scores are wrong near such data and samples may explode. form='stable' "
    "is invertible everywhere"
)


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ITransAttention(Coupling):
    """Mix the cells of a grid, in one half of the map, by attention computed on the other half.

    With ``x1 = M h`` the identity part, tokens T (the cells of the grid) and, for each head,
    queries and keys from 1x1 convolutions of ``x1`` (paper, equations 4, 5, 8 and 9, corrected):

    * ``A = sigmoid(Q K^T / sqrt(d))`` or softmax of it, ``W = I + gamma A / R`` with R the maximum
      row sum (N or 1), ``gamma = gmax tanh(g)``;
    * ``y1 = x1``, ``T(y2) = W T(x2)``; the inverse solves with W;
    * ``log|det| = sum over heads of n_r log|det W_r|``, ``n_r`` the head's feature columns.

    W is strictly row-diagonally dominant whatever the data, hence invertible with a positive
    determinant and a condition number of at most ``(1 + gmax) / (1 - gmax)``. The mask is the
    same in every cell; otherwise the determinant would not factor.

    ``form="paper"`` is the layer as printed, ``W = A``. It is **not invertible** where
    ``det A = 0``, which separates data with a positive determinant from data with a negative
    one; its sign is ignored. The layer issues a warning, and solves with partial pivoting.

    >>> layer = layers.ITransAttention(heads=2, grid=(2, 2))
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        mask: ``"spatial"``, ``"channel"``, ``"channel_alternating"``, ``"random"`` or
            ``"spatial_channel"``, drawn for one cell and tiled.
        form: ``"stable"`` or ``"paper"``.
        heads: attention heads.
        combine: ``"feature"``, each head mixes its own feature columns: that of a cell's
            position ``(i, j)`` and channel ``c`` belongs to head ``(rank of c among the
            transformed channels there + i + j) mod heads``; or ``"mean"``, all columns are
            mixed by one W with the heads' average.
        expansion: channels of a query and of a key, in multiples of the map's channels.
        grid: ``(rows, columns)`` of cells, at most 16 cells; must divide the map.
        activation: ``"sigmoid"`` or ``"softmax"``.
        seed: seed of the random mask.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self,
        mask: str = "spatial_channel",
        form: str = "stable",
        heads: int = 1,
        combine: str = "feature",
        expansion: int = 1,
        grid: tuple[int, int] = (2, 2),
        activation: str = "sigmoid",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("mask", mask, MASKS)
        check_integer("heads", heads)
        check_choice("form", form, FORMS)
        check_choice("combine", combine, COMBINES)
        check_integer("expansion", expansion)
        check_choice("activation", activation, GAMMA_MAX)
        if len(grid) != 2 or min(grid) < 1 or not 2 <= grid[0] * grid[1] <= MAX_TOKENS:
            raise ValueError(
                f"grid must be (rows, columns) of 2 to {MAX_TOKENS} cells in all; got {tuple(grid)}"
            )
        if form == "paper":
            warnings.warn(f"iTrans with {PAPER_CAVEAT}", stacklevel=2)
        self.mask = mask
        self.form = form
        self.heads = heads
        self.combine = combine
        self.expansion = expansion
        self.grid = (int(grid[0]), int(grid[1]))
        self.activation = activation
        self.seed = seed

    @property
    def caveat(self) -> str | None:
        return PAPER_CAVEAT if self.form == "paper" else None

    def build_map(self, shape: tuple[int, int, int]) -> None:
        channels = shape[-1]
        self.heads_of_columns(shape)  # raises where a head has no column
        projected = self.expansion * channels
        inputs = channels + self.condition_channels
        initializer = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        for name in ("query", "key"):
            kernel = self.add_weight(
                (inputs, self.heads * projected), initializer, name=name, autocast=False
            )
            setattr(self, f"{name}_kernel", kernel)
        self.log_temperature = self.add_weight(
            (self.heads,), "zeros", name="log_temperature", autocast=False
        )
        if self.form == "stable":
            self.gate = self.add_weight(
                (self.heads,), keras.initializers.Constant(0.1), name="gate", autocast=False
            )

    def partition(self, shape: tuple[int, int, int]) -> MaskSplit:
        return MaskSplit(np.tile(self._cell_mask(shape), (*self.grid, 1)))

    def heads_of_columns(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The head of every feature column of a cell of maps of this shape."""
        return assign_heads(self._cell_mask(shape), self.heads if self.combine == "feature" else 1)

    def mixing_matrix(self, identity: Tensor, condition: Tensor | None = None) -> Tensor:
        """W from the identity part, ``(n, heads, N, N)``; one head if they are averaged."""
        inputs = identity if condition is None else ops.concatenate([identity, condition], axis=-1)
        # d = P_q exp(delta), with delta the learned log-temperature.
        height, width = self._cell(tuple(identity.shape[1:]))
        size = height * width * self.expansion * self.map_shape[-1]
        scale = ops.exp(-0.5 * self.log_temperature) / float(np.sqrt(size))
        scores = self._products(inputs) * ops.reshape(scale, (1, -1, 1, 1))
        if self.activation == "sigmoid":
            attention = ops.sigmoid(scores)
        else:
            attention = ops.softmax(scores, axis=-1)
        if self.form == "paper":
            return self._combined(attention)
        tokens = self.grid[0] * self.grid[1]
        largest_row_sum = tokens if self.activation == "sigmoid" else 1
        gamma = GAMMA_MAX[self.activation] * backend.tanh(self.gate) / largest_row_sum
        identity = ops.cast(np.eye(tokens), attention.dtype)
        return identity + self._combined(ops.reshape(gamma, (1, -1, 1, 1)) * attention)

    def _combined(self, by_head: Tensor) -> Tensor:
        return (
            by_head if self.combine == "feature" else backend.mean(by_head, axis=1, keepdims=True)
        )

    def transformed_bijector(
        self, identity: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> TokenMixing:
        return TokenMixing(
            self.mixing_matrix(identity, condition),
            self.heads_of_columns(tuple(identity.shape[1:])),
            self.grid,
            dominant=self.form == "stable",
        )

    def _products(self, inputs: Tensor) -> Tensor:
        """Queries times keys, ``(n, heads, N, N)``."""
        tokens = to_tokens(inputs, self.grid)
        n, count, _ = ops.shape(tokens)
        positions = ops.reshape(tokens, (n, -1, int(inputs.shape[-1])))

        def of_positions(kernel: Tensor) -> Tensor:
            return ops.reshape(ops.matmul(positions, kernel), (n, count, -1))

        queries = ops.split(ops.convert_to_tensor(self.query_kernel), self.heads, axis=-1)
        keys = ops.split(ops.convert_to_tensor(self.key_kernel), self.heads, axis=-1)
        if positions.shape[-1] <= self.expansion * self.map_shape[-1]:
            # (x Q) (x K)^T = (x Q K^T) x^T: the inputs are narrower than the keys.
            right = ops.transpose(tokens, (0, 2, 1))
            products = [
                ops.matmul(of_positions(ops.matmul(q, ops.transpose(k))), right)
                for q, k in zip(queries, keys, strict=True)
            ]
        else:
            products = [
                ops.matmul(of_positions(q), ops.transpose(of_positions(k), (0, 2, 1)))
                for q, k in zip(queries, keys, strict=True)
            ]
        return ops.stack(products, axis=1)

    def _cell(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        sizes = []
        for side, cells in zip(shape[:2], self.grid, strict=True):
            if side % cells:
                options = valid_grids(shape[:2])
                raise ValueError(
                    f"{self.name}: grid {self.grid} does not divide a map of "
                    f"{shape[0]}x{shape[1]}; valid grids: {', '.join(map(str, options))}"
                )
            sizes.append(side // cells)
        return sizes[0], sizes[1]

    def _cell_mask(self, shape: tuple[int, int, int]) -> np.ndarray:
        return make_mask(self.mask, (*self._cell(shape), shape[-1]), self.seed)


def assign_heads(cell_mask: np.ndarray, heads: int) -> np.ndarray:
    """Head of every feature column of a cell, -1 for identity columns.

    Args:
        cell_mask: ``(h, w, c)``, 1 = identity.
        heads: number of heads.

    Returns:
        ``(h w c,)`` integers.

    Raises:
        ValueError: a head would get no column.
    """
    transformed = 1 - cell_mask.astype(int)
    rank = np.cumsum(transformed, axis=-1) - 1
    i, j, _ = np.ogrid[tuple(slice(side) for side in transformed.shape)]
    # Without the modulus: head h gets a column as long as h does not exceed the greatest place.
    place = np.where(transformed == 1, rank + i + j, -1).ravel()
    head = np.where(place >= 0, place % heads, -1)
    empty = sorted(set(range(heads)) - set(head.tolist()))
    if empty:
        raise ValueError(
            f"heads={heads} is too many for cells of {'x'.join(map(str, transformed.shape))}: head "
            f"{empty[0]} would get no column; at most {len(set(place[place >= 0].tolist()))} "
            "heads fit"
        )
    return head


def valid_grids(sides: tuple[int, int]) -> list[tuple[int, int]]:
    """Grids of 2 to 16 cells that divide a map of these sides."""
    height, width = sides
    return [
        (rows, columns)
        for rows in range(1, MAX_TOKENS + 1)
        for columns in range(1, MAX_TOKENS // rows + 1)
        if rows * columns > 1 and height % rows == 0 and width % columns == 0
    ]
