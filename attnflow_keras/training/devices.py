"""The device that a training runs on."""

import os


def prepare_devices() -> str:
    """Let TensorFlow, where it is the backend, take GPU memory as it needs it.

    Call it before anything is computed. Without this TensorFlow takes all memory of every GPU at
    once. Where there is no GPU, nothing is changed.

    Returns:
        What a training runs on, for people: the first GPU, or else the CPU.
    """
    import keras

    if keras.backend.backend() == "jax":
        from attnflow_keras.jax_backend import device_name

        return device_name()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (RuntimeError, ValueError):
            # It is in use already, or somebody split it into logical devices: theirs to decide.
            continue
    if not gpus:
        return f"{os.cpu_count()} CPU cores"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    idle = f", the first of {len(gpus)}" if len(gpus) > 1 else ""
    return f"GPU {name}{idle}"
