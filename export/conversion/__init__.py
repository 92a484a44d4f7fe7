"""From a traced TensorFlow graph to ONNX: weights folded, few transposes, loops kept.

    traced = trace(function, signature, variables)
    model = to_model(traced, opset)   # UnsupportedError for an operation that it doesn't know

Written for the graphs of flows, which have a few dozen kinds of operations; ``export.to_onnx``
gives graphs that hold others to tf2onnx.
"""

from export.conversion.model import part, to_model
from export.conversion.tracing import Traced, trace
from export.conversion.values import UnsupportedError

__all__ = ["Traced", "UnsupportedError", "part", "to_model", "trace"]
