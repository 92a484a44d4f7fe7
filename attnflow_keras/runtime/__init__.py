"""Exported flows with NumPy and onnxruntime alone: ``pip install 'attnflow-keras[runtime]'``.

    from attnflow_keras.runtime import Session
    session = Session("out/onnx")

The same class is ``export.runtime.Session``; this name needs no top-level package but
``attnflow_keras``.
"""

from attnflow_keras.runtime.errors import ExportError
from attnflow_keras.runtime.session import Session

__all__ = ["ExportError", "Session"]
