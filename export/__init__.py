"""Export flows for deployment.

>>> import export
>>> export.onnx(flow, "out/onnx")      # encode.onnx, decode.onnx, log_prob.onnx

Importing this package does not import TensorFlow.
"""

from typing import Any

__all__ = ["ExportError", "onnx"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from export import to_onnx

        return getattr(to_onnx, name)
    raise AttributeError(f"module 'export' has no attribute {name!r}")
