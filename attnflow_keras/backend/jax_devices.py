"""Several devices, and several processes, on JAX."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from keras import tree

PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"


def device_names() -> list[str]:
    """The devices that there are, of all processes."""
    return list(keras.distribution.list_devices())


def prepare_devices(count: int = 1) -> str:
    """What JAX computes on, for people."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return f"{len(devices)} CPU devices" if len(devices) > 1 else f"{os.cpu_count()} CPU cores"
    name = f"{devices[0].platform.upper()} {devices[0].device_kind}"
    return f"{count} x {name}" if count > 1 else name + _idle(len(devices))


def _idle(count: int) -> str:
    return f", the first of {count}" if count > 1 else ""


def device_scope(count: int) -> Any:
    """Flows built within are on the first ``count`` devices."""
    return _parallel(device_names()[:count]).scope()


@contextlib.contextmanager
def step_scope(model: Any) -> Iterator[None]:
    """Within, the model's steps share out batches among its devices."""
    distribution, mesh = keras.distribution.distribution(), _mesh_of(model)
    if distribution is None and mesh is not None:
        distribution = _parallel([f"{device.platform}:{device.id}" for device in mesh.devices.flat])
    if distribution is None:
        yield
        return
    with distribution.scope():
        _place(model)
        yield


def _place(model: Any) -> None:
    """Put all variables of a training where the distribution in scope wants them.

    Optimizers and metrics may have been made outside of it, and loaded flows too.
    """
    optimizer = getattr(model, "optimizer", None)
    own = [] if optimizer is None else optimizer.variables
    for variable in (*model.variables, *model.metrics_variables, *own):
        if variable._layout is None:
            variable._initialize_layout()
            variable.assign(variable.value)


def _parallel(names: list[str]) -> Any:
    # Batches are those of this process already, see training/order.py.
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)


def can_jit(model: Any) -> bool:
    """Whether XLA can compile the model's training step: always."""
    return True


def check_compile(model: Any, optimizer: Any, jit: Any) -> None:
    """Any optimizer will do, see :func:`step_scope`."""


def prepare_optimizer(model: Any) -> None:
    """Nothing is to be done: all devices have the gradient of the whole batch."""


def devices_of(model: Any) -> int:
    """On how many devices a model is."""
    mesh = _mesh_of(model)
    return 1 if mesh is None else mesh.size


def batch_unit(model: Any) -> int:
    """What this process's batches of ``fit`` must be a multiple of."""
    distribution = keras.distribution.distribution()
    if isinstance(distribution, keras.distribution.DataParallel):
        return max(1, distribution.num_model_replicas // jax.process_count())
    return max(1, devices_of(model) // jax.process_count())


def _mesh_of(model: Any) -> Mesh | None:
    """The devices that hold a model's variables, None if that is one."""
    variables = getattr(model, "variables", None)
    # Not their values, which a training takes away.
    layout = variables[0]._layout if variables else None
    mesh = None if layout is None else layout.backend_layout.mesh
    return None if mesh is None or mesh.size == 1 else mesh


def shared(run: Callable, model: Any) -> Callable:
    """A function to compile, whose first argument is on all of a model's devices, compiled.

    The others are batches, shared out among the devices if they can be. Each device gets the whole
    result.
    """
    mesh = _mesh_of(model)
    if mesh is None:
        return jax.jit(run)
    rows = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
    whole = NamedSharding(mesh, PartitionSpec())
    compiled = jax.jit(run, out_shardings=whole)

    def placed(x: Any) -> Any:
        if not whole.is_fully_addressable and x.is_fully_addressable:
            x = np.asarray(x)  # the same in each process
        return jax.device_put(x, whole if x.shape[0] % mesh.size else rows)

    return lambda values, *inputs: compiled(values, *tree.map_structure(placed, inputs))


def join_processes() -> None:
    """Make this process one of several, as the environment says.

    Raises:
        ValueError: it says nothing.
    """
    slurm = int(os.environ.get("SLURM_NTASKS", "1"))
    if PROCESSES not in os.environ and slurm < 2:
        raise ValueError(
            "--distributed is for processes started together: by srun, or with "
            "KERAS_DISTRIBUTION_JOB_ADDRESSES (host:port of the first), "
            f"{PROCESSES} and KERAS_DISTRIBUTION_PROCESS_ID; none of these is set"
        )
    keras.distribution.initialize()


def process() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are."""
    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def alone(model: Any) -> Iterator[Any]:
    """Within, this process computes without the others, and with this copy of a flow."""
    if jax.process_count() == 1:
        yield model
        return
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        copy = model.clone()
        copy.set_weights(model.get_weights())
        yield copy
    finally:
        keras.distribution.set_distribution(before)


def writes() -> bool:
    """Whether this process writes files, as one of several does."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Return when all processes are here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
