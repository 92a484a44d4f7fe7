"""The names of this package on TensorFlow, which is imported where a function needs it."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
from keras import ops, tree
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from attnflow_keras.backend import tensorflow_devices as devices

__all__ = ["devices", "tfb", "tfd"]

Tensor = Any

FIXED_BATCH = False
READS_BY_TF_DATA = True
SEED_DTYPE = "int64"

mean, floor = ops.mean, ops.floor
tanh, arctanh, sinh, arcsinh = ops.tanh, ops.arctanh, ops.sinh, ops.arcsinh
LayerNormalization = keras.layers.LayerNormalization
start_values = contextlib.nullcontext


def check_dtype(name: str) -> None:
    """TensorFlow computes in all dtypes."""


def jit_compile(wanted: Any) -> Any:
    """``wanted``; XLA, which takes minutes before the first step, only if asked for."""
    return False if wanted is None else wanted


def compile_function(
    function: Callable, inputs: Any, batch: int, jit: bool, model: Any
) -> Callable:
    """A graph of a function of tensors; for any batch, or with XLA for one of this size."""
    import tensorflow as tf

    if batch % devices.devices_of(model) == 0 and devices.devices_of(model) > 1:
        return devices.shared(function, model, jit)

    signature = tree.map_structure(
        lambda a: tf.TensorSpec(
            (batch if jit else None, *a.shape[1:]), keras.backend.standardize_dtype(a.dtype)
        ),
        inputs,
    )
    # Traced once, here. A tf.function that is called counts traces by the place of its code, and
    # warns when models or sizes are many, each of which has one.
    # The lambda hides arguments with defaults, which a concrete function would ask for.
    traced = tf.function(lambda *given: function(*given), jit_compile=jit or None, autograph=False)
    return traced.get_concrete_function(*signature)


def runs_eagerly() -> bool:
    """Whether the user has asked that nothing is traced: ``tf.config.run_functions_eagerly``."""
    import tensorflow as tf

    return tf.config.functions_run_eagerly()


def is_traced(inputs: Any) -> bool:
    """Whether a graph is being made."""
    import tensorflow as tf

    return not tf.executing_eagerly()


def repeat(count: int, step: Callable[[Any, Any], Any], state: tuple[Any, ...]) -> Any:
    """``state = step(i, state)`` for i = 0 to count - 1, as a loop of the graph."""
    # The limit on iterations is what XLA needs to differentiate a loop.
    return ops.while_loop(
        lambda i, *_: ops.less(i, count),
        lambda i, *now: (i + 1, *step(i, now)),
        (ops.convert_to_tensor(0, dtype="int32"), *state),
        maximum_iterations=count,
    )[1:]


def scan(step: Callable[[Any, Tensor], Any], state: Any, sequence: Tensor) -> Tensor:
    """Outputs of ``state, output = step(state, x)`` for each x of a sequence."""
    # Keras' own wants outputs like the state, and XLA can't differentiate it.
    import tensorflow as tf

    count = sequence.shape[0]
    elements = tf.TensorArray(sequence.dtype, count, element_shape=sequence.shape[1:])
    elements = elements.unstack(sequence)
    outputs = tf.TensorArray(sequence.dtype, count)

    def one(i: Any, now: Any, outputs: Any) -> Any:
        now, output = step(now, elements.read(i))
        return i + 1, now, outputs.write(i, output)

    zero = tf.constant(0)
    _, _, outputs = tf.while_loop(
        lambda i, *_: i < count, one, (zero, state, outputs), maximum_iterations=count
    )
    return outputs.stack()


def step_in(optimizer: Any, variables: list[Any]) -> Tensor | None:
    """None: the step is a variable, also within a graph."""
    return None


def replicas() -> int:
    """Replicas of ``tf.distribute`` that work on one batch together."""
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
