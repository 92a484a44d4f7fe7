"""Tracing of a function with its weights as constants, and what depends on them alone."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np


class Traced(NamedTuple):
    """A function as a TensorFlow graph.

    Attributes:
        graph: the graph.
        inputs: name -> tensor of the graph.
        outputs: name -> tensor of the graph.
        weights: name of a tensor of the graph -> its value.
    """

    graph: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    weights: dict[str, np.ndarray]


def trace(function: Callable[..., dict[str, Any]], signature: list[Any], variables: Any) -> Traced:
    """Trace a function in the form that ONNX has of its loops.

    Args:
        function: takes tensors in the order of the signature, returns a dict of tensors.
        signature: their ``tf.TensorSpec``, with names.
        variables: Keras variables that the function reads. They become constants, in loops too,
            where freezing a graph of variables would have to go through the bodies.
    """
    import keras
    import tensorflow as tf

    from attnflow_keras.ops import loops

    held = [(variable, tf.constant(variable.value)) for variable in variables]

    def stateless(*given: Any) -> dict[str, Any]:
        with keras.StatelessScope(state_mapping=held), loops.lowered(loops.Lowering.ONNX):
            return function(*given)

    traced = tf.function(stateless, input_signature=signature, autograph=False)
    concrete = traced.get_concrete_function()
    captured = {inner.name: outer.numpy() for outer, inner in concrete.graph.captures}
    given = [tensor for tensor in concrete.inputs if tensor.name not in captured]
    return Traced(
        concrete.graph,
        {spec.name: tensor for spec, tensor in zip(signature, given, strict=True)},
        # Those of structured_outputs are copies of what the graph computes.
        dict(zip(sorted(concrete.structured_outputs), concrete.outputs, strict=True)),
        captured,
    )


def constant_operations(graph: Any, known: Iterable[str]) -> set[str]:
    """Names of the operations whose values the known tensors determine."""
    fed = {name.split(":")[0] for name in known}
    found: set[str] = set()
    for op in graph.get_operations():
        if op.type == "Const" or op.name in fed:
            found.add(op.name)
        elif op.type == "Placeholder" or op.op_def.is_stateful or op.control_inputs:
            continue
        elif op.inputs and all(tensor.op.name in found for tensor in op.inputs):
            found.add(op.name)
    return found


def evaluate(graph: Any, names: list[str], known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values of tensors that the known ones determine."""
    import tensorflow as tf

    found = {name: known[name] for name in names if name in known}
    rest = []
    for name in names:
        if name in found:
            continue
        op = graph.get_tensor_by_name(name).op
        if op.type == "Const":
            found[name] = tf.make_ndarray(op.get_attr("value"))
        else:
            rest.append(name)
    if rest:
        config = tf.compat.v1.ConfigProto()
        # Each part is run once: no time is spent on making it faster.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = -1
        with tf.compat.v1.Session(graph=graph, config=config) as session:
            found.update(zip(rest, session.run(rest, known), strict=True))
    return {name: np.asarray(value) for name, value in found.items()}
