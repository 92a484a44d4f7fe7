"""The device that a training runs on."""


def prepare_devices() -> str:
    """Let TensorFlow, where it is the backend, take GPU memory as it needs it.

    Call it before anything is computed. Without this TensorFlow takes all memory of every GPU at
    once. Where there is no GPU, nothing is changed.

    Returns:
        What a training runs on, for people: the first GPU, or else the CPU.
    """
    from attnflow_keras import backend

    return backend.prepare_devices()
