"""Export flows for deployment.

    export.onnx(flow, "out/onnx")                # graphs and manifest.json
    export.saved_model(flow, "out/saved_model")  # encode, decode, log_prob, sample
    export.triton(flow, "model_repository")      # for NVIDIA Triton
    export.openvino(flow, "out/openvino")        # encode and log_prob for OpenVINO
    export.litert(flow, "out/litert")            # encode and log_prob for LiteRT
    export.web("out/onnx", "site")               # a static site that runs in the browser
    from attnflow_keras.runtime import Session   # NumPy and onnxruntime only

Importing this package does not import TensorFlow.
"""

import importlib
from typing import Any

from attnflow_keras.runtime.errors import ExportError

_FUNCTIONS = {
    "litert": "export.to_litert",
    "onnx": "export.to_onnx",
    "openvino": "export.to_openvino",
    "saved_model": "export.to_saved_model",
    "triton": "export.to_triton",
    "verify": "export.verification",
    "web": "export.to_web",
}

__all__ = ["ExportError", *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'export' has no attribute {name!r}")
