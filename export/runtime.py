"""Run an export with NumPy and onnxruntime alone; see :mod:`attnflow_keras.runtime`."""

from attnflow_keras.runtime import ExportError, Session

__all__ = ["ExportError", "Session"]
