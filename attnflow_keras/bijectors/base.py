"""The base of every bijector in the package."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.backend import tfb

Tensor = Any


class FlowBijector(tfb.Bijector):
    """A TFP bijector on ``(batch, height, width, channels)`` tensors, free of variables.

    A subclass gives the two primitives :meth:`forward_and_log_det` and
    :meth:`inverse_and_log_det`, each of which returns the output and the log-determinant
    of the map it applies, of shape ``(batch,)``. TFP's own methods (``forward``,
    ``inverse``, ``forward_log_det_jacobian``, ...) derive from them.

    Layers call the primitives, which pass by TFP's cache: a cached round trip returns its
    own input and proves nothing.

    >>> class Double(bijectors.FlowBijector):
    ...     def forward_and_log_det(self, x):
    ...         return 2 * x, np.log(2.0) * np.prod(x.shape[1:]) * np.ones(len(x))
    ...
    ...     def inverse_and_log_det(self, y):
    ...         return y / 2, -np.log(2.0) * np.prod(y.shape[1:]) * np.ones(len(y))
    >>> double = Double(name="double", event_ndims=3)
    >>> y, log_det = double.forward_and_log_det(np.ones((1, 2, 2, 1)))
    >>> round(float(log_det[0]), 3)
    2.773

    Args:
        name: name of the bijector.
        event_ndims: rank of one sample on the input side; 3 for maps.
        inverse_event_ndims: the same on the output side, if it differs.
        **parameters: tensors that define the map, kept for TFP's ``parameters``.
    """

    def __init__(
        self,
        name: str,
        event_ndims: int = 3,
        inverse_event_ndims: int | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(
            forward_min_event_ndims=event_ndims,
            inverse_min_event_ndims=event_ndims
            if inverse_event_ndims is None
            else inverse_event_ndims,
            parameters=parameters,
            name=name,
        )

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``y`` and log|det dy/dx| of shape ``(batch,)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define its forward map")

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` and log|det dx/dy| of shape ``(batch,)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define its inverse map")

    def statistics(self) -> dict[str, Any]:
        """Statistics of the map's conditioning, for diagnosis.

        A subclass that knows any of these gives them; the bijector must hold values, not the
        symbols of a graph.

        Returns:
            ``condition_number``: maximum 2-norm condition number of the map's matrices;
            ``log_scale``: minimum and maximum log of the factors that elements are scaled by;
            ``component_log_scale``: the same of the components' scales of a mixture;
            ``negative_determinants``: the share of matrices with a negative determinant, where the
            map ignores the sign.
        """
        return {}

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {}

    def _forward(self, x: Tensor) -> Tensor:
        return self.forward_and_log_det(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        return self.inverse_and_log_det(y)[0]

    def _forward_log_det_jacobian(self, x: Tensor) -> Tensor:
        return self.forward_and_log_det(x)[1]

    def _inverse_log_det_jacobian(self, y: Tensor) -> Tensor:
        return self.inverse_and_log_det(y)[1]


def condition_number(matrices: Tensor) -> float:
    """Maximum 2-norm condition number of ``(..., n, n)`` matrices, in float64."""
    values = np.asarray(ops.convert_to_numpy(matrices), dtype="float64")
    return float(np.linalg.cond(values).max()) if np.isfinite(values).all() else float("nan")


def value_range(x: Tensor) -> tuple[float, float]:
    """Minimum and maximum value."""
    values = np.asarray(ops.convert_to_numpy(x))
    return float(values.min()), float(values.max())


def per_sample(log_det: Tensor, x: Tensor) -> Tensor:
    """Repeat a log-determinant that is the same for every sample to shape ``(batch,)``."""
    return ops.broadcast_to(log_det, (ops.shape(x)[0],))
