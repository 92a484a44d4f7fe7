"""The ONNX model of a traced function."""

from typing import Any

from export.conversion import elementwise, indexing, linear, loops, reductions, shapes  # noqa: F401
from export.conversion.converter import Converter, dtype_of, shape_of
from export.conversion.fusions import fused
from export.conversion.scope import Scope, reads
from export.conversion.tracing import Traced
from export.conversion.values import Value, constant

# The version of ONNX's file format that goes with its opset 18.
IR_VERSION = 8


def to_model(traced: Traced, opset: int) -> Any:
    """Convert a traced function.

    Raises:
        UnsupportedError: an operation, or a form of one, that this converter doesn't know.
    """
    import onnx

    scope = Scope()
    given = {name: constant(array) for name, array in traced.weights.items()}
    inputs = []
    for name, tensor in traced.inputs.items():
        shape, dtype = shape_of(tensor), dtype_of(tensor)
        given[tensor.name] = Value(shape, dtype, name)
        kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        inputs.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    values = Converter(traced.graph, scope, given).convert(list(traced.outputs.values()))
    outputs = []
    for (name, tensor), value in zip(traced.outputs.items(), values, strict=True):
        scope.add(onnx.helper.make_node("Identity", [scope.plain(value)], [name]))
        kind = onnx.helper.np_dtype_to_tensor_dtype(dtype_of(tensor))
        outputs.append(onnx.helper.make_tensor_value_info(name, kind, shape_of(tensor)))
    fused(scope, list(traced.outputs))
    # Without the weights that fusions have replaced.
    read = set().union(*map(reads, scope.nodes))
    weights = [tensor for tensor in scope.initializers.values() if tensor.name in read]
    graph = onnx.helper.make_graph(scope.nodes, "flow", inputs, outputs, weights)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=IR_VERSION
    )
    model.producer_name = "attnflow-keras"
    return model


def part(model: Any, outputs: list[str]) -> Any:
    """The model with some of its outputs, and the nodes and weights that they need."""
    import onnx

    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    needed = set(outputs)
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(reads(node))
    nodes = list(reversed(kept))
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    values = [value for value in graph.output if value.name in outputs]
    for field, content in (("node", nodes), ("initializer", weights), ("output", values)):
        content = [type(item).FromString(item.SerializeToString()) for item in content]
        graph.ClearField(field)
        getattr(graph, field).extend(content)
    return found
