"""Run a method batch by batch as a compiled function."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from attnflow_keras import backend
from attnflow_keras.core.checks import check_integer

Tensor = Any


class CompiledMethods:
    """Compiled functions of one model, cached by method and batch.

    Without XLA one trace serves every batch size. With XLA (``jit=True``) a function is
    compiled for a fixed batch, and a smaller last batch is filled up to it and cut back; JAX
    always does so, and so does a model on several devices, which share the batch. When called
    while tracing another graph, the function is inlined there.
    """

    def __init__(self) -> None:
        self.jit = False
        # The model, whose weights are arguments of what JAX compiles. Attached by the model
        # before each use, so that a copy of it uses its own.
        self.owner: Any = None
        self._cache: dict[Any, Callable] = {}

    def __deepcopy__(self, memo: dict) -> "CompiledMethods":
        # Traces belong to one model's variables; a copy starts without any.
        copied = CompiledMethods()
        copied.jit = self.jit
        return copied

    def __reduce__(self) -> Any:
        return CompiledMethods, ()

    def run(
        self,
        name: str,
        function: Callable,
        inputs: Any,
        batch_size: int,
        progress: Any = None,
        keep: Callable | None = None,
    ) -> Any:
        """``function(*inputs)`` for inputs with a common first axis.

        Args:
            name: the method's name, part of the cache key.
            function: from tensors to a nest of tensors with the same first axis.
            inputs: tuple of nests of arrays or tensors; NumPy arrays, or backend tensors,
                through which gradients flow.
            batch_size: maximum batch size, but for rounding up to a multiple of the devices.
            progress: called with the number of samples done after each batch.
            keep: the part of a batch's results that is wanted; all if not given.
        """
        check_integer("batch_size", batch_size)
        if backend.is_traced(inputs):
            return keep(function(*inputs)) if keep else function(*inputs)
        n = tree.flatten(inputs)[0].shape[0]
        batch = min(batch_size, 2 ** math.ceil(math.log2(max(n, 1))))
        devices = backend.devices.devices_of(self.owner)
        batch = devices * math.ceil(batch / devices)
        eager = backend.runs_eagerly()
        fixed = self.jit or backend.FIXED_BATCH or devices > 1
        compiled = function if eager else self._function(name, function, inputs, batch)
        results = []
        for start in range(0, max(n, 1), batch):
            stop = min(start + batch, n)
            part = tree.map_structure(lambda a: a[start:stop], inputs)  # noqa: B023
            short = batch - (stop - start)
            if short and fixed:
                part = tree.map_structure(lambda a: _fill(a, short), part)  # noqa: B023
            part = tree.map_structure(ops.convert_to_tensor, part)
            result = compiled(*part)
            if keep:
                result = keep(result)
            if short and fixed:
                result = tree.map_structure(lambda a: a[: stop - start], result)  # noqa: B023
            results.append(result)
            if progress is not None:
                progress(stop)
        if len(results) == 1:
            return results[0]
        return tree.map_structure(lambda *parts: ops.concatenate(parts, axis=0), *results)

    def _function(self, name: str, function: Callable, inputs: Any, batch: int) -> Callable:
        signature = tuple(
            (tuple(a.shape[1:]), keras.backend.standardize_dtype(a.dtype))
            for a in tree.flatten(inputs)
        )
        key = (name, self.jit, batch if self.jit else None, signature)
        if key not in self._cache:
            self._cache[key] = backend.compile_function(
                function, inputs, batch, self.jit, self.owner
            )
        return self._cache[key]


def _fill(array: Any, short: int) -> Any:
    if isinstance(array, np.ndarray):
        return np.concatenate([array, np.repeat(array[-1:], short, axis=0)])
    return ops.concatenate([array, ops.repeat(array[-1:], short, axis=0)], axis=0)
