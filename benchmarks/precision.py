"""In what precision an accelerator multiplies float32 matrices."""

import keras


def multiply_in(products: str) -> None:
    """Have products and convolutions of float32 tensors computed in float32 or in TensorFloat-32.

    Args:
        products: ``"float32"`` or ``"tf32"``; of no effect on a CPU.
    """
    if keras.backend.backend() == "jax":
        import jax

        name = {"float32": "highest", "tf32": "tensorfloat32"}[products]
        jax.config.update("jax_default_matmul_precision", name)
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(products == "tf32")


def peak_memory() -> float | None:
    """GB that the first accelerator has held at most; None where that is not counted."""
    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.devices()[0].memory_stats() or {}
        peak = statistics.get("peak_bytes_in_use")
    else:
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU")
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] if found else None
    return None if peak is None else peak / 1e9
