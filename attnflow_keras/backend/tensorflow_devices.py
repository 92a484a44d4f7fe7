"""Several devices on TensorFlow."""

import contextlib
import functools
import os
from collections.abc import Callable
from typing import Any

from keras import tree


def device_names() -> list[str]:
    """All devices: GPUs, or CPUs if there is no GPU."""
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name.removeprefix("/device:") for device in devices]


def prepare_devices(count: int = 1) -> str:
    """Let TensorFlow take GPU memory as it needs it; the first GPU's name, or the CPU's cores."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (RuntimeError, ValueError):
            # It is in use already, or somebody split it into logical devices: theirs to decide.
            continue
    if not gpus:
        return f"{count} CPU devices" if count > 1 else f"{os.cpu_count()} CPU cores"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    idle = f", the first of {len(gpus)}" if len(gpus) > 1 else ""
    return f"{count} x GPU {name}" if count > 1 else f"GPU {name}{idle}"


def device_scope(count: int) -> Any:
    """Flows built within are on the first ``count`` devices."""
    return contextlib.nullcontext() if count == 1 else _mirrored(count).scope()


@functools.cache
def _mirrored(count: int) -> Any:
    # One for all flows: what two of them exchange gets in each other's way.
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(device_names()[:count])


def step_scope(model: Any) -> Any:
    """Within, the model's steps share out batches among its devices."""
    strategy = _strategy_of(model)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def can_jit(model: Any) -> bool:
    """Whether XLA can compile the model's training step: not for several devices."""
    return _strategy_of(model) is None


def check_compile(model: Any, optimizer: Any, jit: Any) -> None:
    """Refuse what does not work on several devices.

    Raises:
        ValueError: XLA, an optimizer that was made for one device, which each would step, or loss
            scaling, of which Keras looks at the gradients of one device alone.
    """
    if jit is True and not can_jit(model):
        raise ValueError(
            f"jit_compile must be False, as {model.name} is on {devices_of(model)} devices, for "
            "which XLA can't compile a training step on TensorFlow; got True"
        )
    if not can_jit(model) and model.dtype_policy.name == "mixed_float16":
        raise ValueError(
            f"dtype must not be mixed_float16, as {model.name} is on {devices_of(model)} devices; "
            "use mixed_bfloat16 or float32"
        )
    strategy = _strategy_of(model)
    counter = getattr(getattr(optimizer, "inner_optimizer", optimizer), "iterations", None)
    if strategy is None or counter is None:
        return
    if not strategy.extended.variable_created_in_scope(counter.value):
        raise ValueError(
            "optimizer must be created within the same on_devices block as the flow, as "
            f"{model.name} is on {devices_of(model)} devices; got one created outside"
        )


def prepare_optimizer(model: Any) -> None:
    """Let the optimizer of a compiled model clip the gradient of the whole batch.

    Keras clips that of each device's share, before it adds them up.
    """
    import tensorflow as tf

    strategy = _strategy_of(model)
    optimizer = getattr(model, "optimizer", None)
    if strategy is None or optimizer is None or hasattr(optimizer, "clips_whole"):
        return
    if not (optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue):
        return
    clip, count = optimizer._clip_gradients, devices_of(model)

    def clip_whole(gradients: list[Any]) -> list[Any]:
        context = tf.distribute.get_replica_context()
        there = [g for g in gradients if g is not None]
        added = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, there))
        clipped = clip([None if g is None else next(added) for g in gradients])
        return [None if g is None else g / count for g in clipped]

    optimizer._clip_gradients = clip_whole
    optimizer.clips_whole = True


def devices_of(model: Any) -> int:
    """On how many devices a model is."""
    strategy = _strategy_of(model)
    return 1 if strategy is None else int(strategy.num_replicas_in_sync)


def batch_unit(model: Any) -> int:
    """What batches of ``fit`` must be a multiple of: anything goes."""
    return 1


def _strategy_of(model: Any) -> Any:
    strategy = getattr(model, "distribute_strategy", None)
    return None if strategy is None or strategy.num_replicas_in_sync == 1 else strategy


def shared(function: Callable, model: Any, jit: bool) -> Callable:
    """A function of batches of one size, which a model's devices share, as a graph."""
    import tensorflow as tf

    strategy = _strategy_of(model)
    count = devices_of(model)
    # XLA within each replica: it can't compile what takes variables of several devices.
    each = tf.function(lambda *given: function(*given), jit_compile=jit or None, autograph=False)
    run = tf.function(lambda *parts: strategy.run(each, parts), autograph=False)

    def call(*inputs: Any) -> Any:
        def share(x: Any) -> Any:
            size = x.shape[0] // count

            def part(context: Any) -> Any:
                number = context.replica_id_in_sync_group
                return x[number * size : (number + 1) * size]

            return strategy.experimental_distribute_values_from_function(part)

        results = run(*tree.map_structure(share, inputs))
        return tree.map_structure(
            lambda x: tf.concat(strategy.experimental_local_results(x), axis=0), results
        )

    return call


def join_processes() -> None:
    """Refuse: Keras' ``fit`` on TensorFlow works with the devices of one process.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        "--distributed needs JAX: set KERAS_BACKEND=jax. Keras on TensorFlow shares batches among "
        "the devices of one process only"
    )


def process() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are."""
    return 0, 1


def alone(model: Any) -> Any:
    """Within, this process computes without the others, as it always does."""
    return contextlib.nullcontext(model)


def writes() -> bool:
    """Whether this process writes files, as one of several does."""
    return True


def wait_for_all(name: str) -> None:
    """Return when all processes are here."""
