"""The primitives of ``ImageModel`` for a Keras flow, as compiled functions."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.core.conditions import ConditionKind
from attnflow_keras.core.image_map import BATCH_SIZE
from attnflow_keras.core.image_model import ImageModel
from attnflow_keras.flow.compiled import CompiledMethods

Tensor = Any


class CompiledFlow(ImageModel):
    """The primitives of :class:`ImageModel`, compiled. They also take and return backend tensors.

    Gradients flow through them. Set :attr:`jit` for XLA, which compiles longer and runs faster.
    """

    # What ``Flow`` provides.
    variable_dtype: Any
    condition_shape: tuple[int, ...] | None
    condition_dtype: str
    _compiled: CompiledMethods
    traced_encode: Any
    traced_decode: Any
    traced_log_prob: Any
    traced_log_prob_of: Any
    scores_latents: Any
    traced_condition: Any

    _kind: ConditionKind | None = None

    @property
    def condition_kind(self) -> ConditionKind | None:
        """Kind of the flow's condition; by default from ``condition_shape`` and its dtype."""
        if self.conditional and self._kind is None:
            self._kind = ConditionKind(self.condition_shape, self.condition_dtype)
        return self._kind

    @condition_kind.setter
    def condition_kind(self, kind: ConditionKind) -> None:
        self._kind = kind
        self.conditional = True
        self.condition_shape, self.condition_dtype = kind.shape, kind.dtype

    @property
    def _compiled_methods(self) -> CompiledMethods:
        # Attached here, so that a copy of the flow has its own.
        self._compiled.owner = self
        return self._compiled

    @property
    def jit(self) -> bool:
        """Whether these methods are compiled with XLA; False by default."""
        return self._compiled_methods.jit

    @jit.setter
    def jit(self, value: bool) -> None:
        self._compiled_methods.jit = bool(value)

    def as_distribution(self, condition: Any = None) -> Any:
        """The density of float images ``(..., h, w, c)`` as a TFP distribution.

        ``sample()`` returns one image, ``sample((2, 3))`` an array ``(2, 3, h, w, c)``;
        ``log_prob`` takes any batch shape. With several conditions, batches must have one image for
        each.
        """
        from attnflow_keras.flow.distribution import flow_distribution

        return flow_distribution(self, self._features(condition))

    # --- primitives ----------------------------------------------------------------------

    def _encode(self, x: Any, condition: Any, batch_size: int) -> tuple[tuple, Tensor]:
        x = self._cast(x)
        return self._run("score", self._scored, x, condition, batch_size, keep=_first_two)

    def _decode(self, latents: tuple, condition: Any, batch_size: int) -> Tensor:
        latents = tuple(map(self._cast, latents))
        return self._run("decode", self.traced_decode, latents, condition, batch_size)

    def _log_prob(self, x: Any, condition: Any, batch_size: int, progress: Any) -> Tensor:
        x = self._cast(x)
        if not self.scores_latents():
            function = self.traced_log_prob
            return self._run("log_prob", function, x, condition, batch_size, progress)
        return self._run("score", self._scored, x, condition, batch_size, progress, _last)

    def _condition(self, condition: Any, batch_size: int) -> Any:
        run = self._compiled_methods.run
        return run("condition", self.traced_condition, (condition,), batch_size)

    def _repeat(self, part: Any, n: int) -> Any:
        if isinstance(part, np.ndarray):
            return np.repeat(part, n, axis=0)
        return ops.repeat(part, n, axis=0)

    # --- helpers -------------------------------------------------------------------------

    def _scored(self, x: Tensor, features: Any = None) -> tuple[tuple, Tensor, Tensor]:
        """Latents, log-determinant and log-density: a single trace, since tracing takes seconds."""
        latents, log_det = self.traced_encode(x, features)
        return latents, log_det, self.traced_log_prob_of(latents, log_det)

    def _features(self, condition: Any) -> Any:
        """Features of a condition; features are returned unchanged."""
        condition = self._checked(condition)
        given = condition is None or isinstance(condition, tuple)
        return condition if given else self._condition(condition, BATCH_SIZE)

    def _run(
        self,
        name: str,
        function: Any,
        x: Any,
        condition: Any,
        batch_size: int,
        progress: Any = None,
        keep: Any = None,
    ) -> Any:
        run = self._compiled_methods.run
        if condition is None:
            return run(name, function, (x,), batch_size, progress, keep)
        if isinstance(condition, tuple):
            return run(name, function, (x, condition), batch_size, progress, keep)

        # Features are made batch by batch: those of a whole test set may not fit in memory.
        def of_raw_condition(x: Any, condition: Any) -> Any:
            return function(x, self.traced_condition(condition))

        name = f"{name} of a condition"
        return run(name, of_raw_condition, (x, condition), batch_size, progress, keep)

    def _cast(self, x: Any) -> Any:
        dtype = self.variable_dtype
        return x.astype(dtype) if isinstance(x, np.ndarray) else ops.cast(x, dtype)


def _first_two(results: tuple) -> tuple:
    return results[:2]


def _last(results: tuple) -> Any:
    return results[-1]
