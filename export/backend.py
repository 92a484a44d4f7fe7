"""What every export of a flow needs: a flow, Keras' TensorFlow backend, images to compare on."""

from typing import Any

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


def check_flow(flow: Any, images: Any, condition: Any) -> None:
    """Raise unless this is a flow for exports, with images and conditions if it takes these."""
    from attnflow_keras.models import Flow

    if not isinstance(flow, Flow):
        raise ExportError(f"flow must be a Flow of attnflow_keras; got {type(flow).__name__}")
    check_exported(flow)
    if flow.conditional and (images is None or condition is None):
        raise ValueError("a conditional flow needs images and condition to compare on")


def check_exported(flow: Any) -> None:
    """Raise ExportError for a flow that no other runtime computes as Keras does."""
    if flow.not_exported:
        raise ExportError(f"{type(flow).__name__} is not exported: {flow.not_exported}")
