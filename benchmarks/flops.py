"""Count the arithmetic of a model's convolutions and matrix products."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import keras

from attnflow_keras.ops import loops


def count_flops(function: Callable[[], Any]) -> int:
    """Operations (a multiply-add is two) of the convolutions and products that a call makes.

    Zero padding counts as if it were data. Loops are counted in full. The function must call
    into ``keras.ops`` anew, not a compiled graph.
    """
    total = 0
    conv, matmul = keras.ops.conv, keras.ops.matmul

    def counted_conv(inputs: Any, kernel: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal total
        outputs = conv(inputs, kernel, *args, **kwargs)
        total += 2 * math.prod(outputs.shape[:-1]) * math.prod(kernel.shape)
        return outputs

    def counted_matmul(a: Any, b: Any) -> Any:
        nonlocal total
        outputs = matmul(a, b)
        total += 2 * math.prod(outputs.shape) * int(a.shape[-1])
        return outputs

    with ExitStack() as stack:
        for module in (keras.ops, keras.src.ops):
            stack.enter_context(mock.patch.object(module, "conv", counted_conv))
            stack.enter_context(mock.patch.object(module, "matmul", counted_matmul))
        stack.enter_context(loops.lowered(loops.Lowering.UNROLLED))
        if keras.backend.backend() == "jax":
            import jax

            # Shapes are enough, and JAX would compile each operation.
            jax.eval_shape(lambda: (function(), 0)[1])
        else:
            function()
    return total


def matrix_product_gflops(size: int = 2048, repeats: int = 5, dtype: str = "float32") -> float:
    """What a product of two square matrices reaches on Keras' backend, best of some runs.

    Args:
        size: rows and columns.
        repeats: runs after the first one.
        dtype: of the matrices.
    """
    import time

    import numpy as np
    from keras import ops

    a = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(size, size)), dtype=dtype)
    best = math.inf
    for _ in range(repeats + 1):
        start = time.perf_counter()
        # One element is read, so that it waits for the product but not for its transfer.
        float(ops.convert_to_numpy(ops.matmul(a, a)[0, 0]))
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
