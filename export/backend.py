"""The backend of Keras that exports need."""

from attnflow_keras.runtime.errors import ExportError


def check_backend() -> None:
    """Raise ExportError unless Keras computes with TensorFlow, which makes the graphs."""
    import keras

    name = keras.backend.backend()
    if name != "tensorflow":
        raise ExportError(
            f"exporting needs Keras' TensorFlow backend, and this process runs on {name}: save the "
            "flow with zoo.save(flow, FOLDER), then 'attnflow export FOLDER --out OUT'"
        )
