"""What JAX needs of its own; imported only where it is Keras' backend."""

from collections.abc import Callable
from typing import Any

import jax
import keras
from keras import tree


def compile_with_weights(function: Callable, variables: list[Any]) -> Callable:
    """Compile a function of tensors that reads variables.

    The variables' values are arguments of what is compiled: ``jax.jit`` of the function itself
    would keep those of the first call for ever.
    """

    @jax.jit
    def run(values: list[Any], *inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*inputs)

    return lambda *inputs: run([variable.value for variable in variables], *inputs)


def is_traced(inputs: Any) -> bool:
    """Whether there is a tensor of a function under construction among the inputs."""
    return any(isinstance(part, jax.core.Tracer) for part in tree.flatten(inputs))


def device_name() -> str:
    """What JAX computes on, for people."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return f"{jax.device_count()} CPU devices" if jax.device_count() > 1 else "CPU"
    idle = f", the first of {jax.device_count()}" if jax.device_count() > 1 else ""
    return f"{device.platform.upper()} {device.device_kind}{idle}"
