"""Everything besides the weights that a network's output depends on."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from attnflow_keras.backend import runs_eagerly
from attnflow_keras.coding.decisions import coder_library


def runtime_of(flow: Any) -> dict[str, str]:
    """Backend, versions, precision and processor, as text by name.

    The last bits of a sum of floats depend on all of these, and a decoder needs all bits.
    """
    coder_library()
    backend = keras.backend.backend()
    return {
        "backend": f"{backend} {_version(backend)}",
        "keras": keras.__version__,
        "numpy": np.__version__,
        "constriction": version("constriction"),
        "precision": f"{flow.dtype_policy.name}, weights {flow.variable_dtype}",
        # Fused operations round otherwise than the same ones by themselves.
        "execution": "operation by operation" if runs_eagerly() else "compiled",
        "device": _device(backend),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0),
    }


def model_hash(flow: Any) -> str:
    """SHA-256 of a flow's class and of its weights as float32, hexadecimal."""
    digest = hashlib.sha256(type(flow).__name__.encode())
    for variable in flow.weights:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(str(value.shape).encode())
        digest.update(np.ascontiguousarray(value, dtype="<f4").tobytes())
    return digest.hexdigest()


def _version(backend: str) -> str:
    # Its distribution may have another name, such as tensorflow-cpu.
    return str(__import__(backend).__version__)


def _device(backend: str) -> str:
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    else:
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return str(device.device_kind)
    return f"{platform.machine()} {_processor()}".strip()


def _processor() -> str:
    """Name of the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
