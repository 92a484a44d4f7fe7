"""Two devices out of one CPU, to be set up before the backend starts."""

import os


def two_devices():
    """Split the CPU, on the backend that Keras will have."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        # Small programs take longer to compile than to run.
        flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
        os.environ["XLA_FLAGS"] = flags
        return
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
