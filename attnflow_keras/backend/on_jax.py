"""The names of this package on JAX."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras import ops, tree
from tensorflow_probability.substrates.jax import bijectors as tfb
from tensorflow_probability.substrates.jax import distributions as tfd

from attnflow_keras.backend import jax_devices as devices
from attnflow_keras.backend.new_weights import weights_by_numpy

__all__ = ["devices", "tfb", "tfd"]

Tensor = Any

FIXED_BATCH = True
READS_BY_TF_DATA = False
SEED_DTYPE = "uint32"
start_values = weights_by_numpy  # Keras' own compile a program for each shape


def check_dtype(name: str) -> None:
    """Raise ValueError for float64 unless JAX computes in it; otherwise it would use float32.

    Args:
        name: name of a dtype policy.
    """
    if name == "float64" and not jax.config.jax_enable_x64:
        raise ValueError(
            "dtype 'float64' needs 64-bit numbers, which JAX disables by default: set "
            "JAX_ENABLE_X64=1 before it is imported, or use float32"
        )


def jit_compile(wanted: Any) -> Any:
    """Always compiled: otherwise each operation is on its own. ``run_eagerly=True`` does that."""
    return "auto"


def compile_function(
    function: Callable, inputs: Any, batch: int, jit: bool, model: Any
) -> Callable:
    """A compiled function of tensors that reads a model's variables, on its devices.

    The variables' values are arguments of what is compiled: ``jax.jit`` of the function itself
    would keep those of the first call for ever.
    """
    variables = [] if model is None else model.variables

    def run(values: list[Any], *inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*inputs)

    compiled = devices.shared(run, model)
    return lambda *inputs: compiled([variable.value for variable in variables], *inputs)


def runs_eagerly() -> bool:
    """Whether the user has asked that nothing is compiled: ``jax.disable_jit``."""
    return bool(jax.config.jax_disable_jit)


def is_traced(inputs: Any) -> bool:
    """Whether there is a tensor of a function under construction among the inputs."""
    return any(isinstance(part, jax.core.Tracer) for part in tree.flatten(inputs))


def repeat(count: int, step: Callable[[Any, Any], Any], state: tuple[Any, ...]) -> Any:
    """``state = step(i, state)`` for i = 0 to count - 1, as a loop of the graph."""
    # Unlike Keras' own, with a count that is known: gradients flow back only through such a loop.
    start = tuple(map(ops.convert_to_tensor, state))
    return jax.lax.fori_loop(0, count, lambda i, now: tuple(step(i, now)), start)


def scan(step: Callable[[Any, Tensor], Any], state: Any, sequence: Tensor) -> Tensor:
    """Outputs of ``state, output = step(state, x)`` for each x of a sequence."""
    return jax.lax.scan(step, state, ops.convert_to_tensor(sequence))[1]


def _exact(name: str) -> Callable[..., Tensor]:
    """An operation of ``keras.ops`` that computes float64 in float32, in float64 as well."""

    def operation(x: Tensor, **options: Any) -> Tensor:
        if keras.backend.standardize_dtype(x.dtype) != "float64":
            return getattr(ops, name)(x, **options)
        return getattr(jnp, name)(ops.convert_to_tensor(x), **options)

    return operation


mean, floor = _exact("mean"), _exact("floor")
tanh, arctanh, sinh, arcsinh = map(_exact, ("tanh", "arctanh", "sinh", "arcsinh"))


class LayerNormalization(keras.layers.LayerNormalization):
    """Keras' own, which computes float64 in float32, in float64 as well."""

    def call(self, inputs: Tensor) -> Tensor:
        if self.compute_dtype != "float64":
            return super().call(inputs)
        x = jnp.asarray(inputs)
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred / jnp.sqrt(variance + self.epsilon) * self.gamma + self.beta


def step_in(optimizer: Any, variables: list[Any]) -> Tensor | None:
    """The step among the values of an optimizer's variables, which are a step's arguments.

    Args:
        optimizer: the optimizer, or one that scales losses around it.
        variables: values of its variables, in the order of ``optimizer.variables``.
    """
    counter = getattr(optimizer, "inner_optimizer", optimizer).iterations
    places = [i for i, variable in enumerate(optimizer.variables) if variable is counter]
    return variables[places[0]]


def replicas() -> int:
    """One: JAX cuts a batch within the operations of one program."""
    return 1
