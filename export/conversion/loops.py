"""Loops of TensorFlow as loops of ONNX."""

from typing import Any

from export.conversion.converter import Converter, converts, dtype_of, shape_of
from export.conversion.fusions import fused
from export.conversion.scope import Scope
from export.conversion.values import Order, Value


@converts("StatelessWhile", "While")
def _loop(c: Converter, op: Any, inputs: list[Value]) -> list[Value]:
    body = c.graph._get_function(op.get_attr("body").name).graph
    condition = c.graph._get_function(op.get_attr("cond").name).graph
    # What the body hands on as it got it is read from outside of the loop.
    kept = [
        after is before or _source(after) is before
        for before, after in zip(body.inputs, body.outputs, strict=True)
    ]
    used = _used(body, condition, kept, op)
    carried = [i for i in range(len(inputs)) if not kept[i] and used[i]]
    start = {i: c.scope.materialized(inputs[i]) for i in carried}
    orders = {i: start[i].order for i in carried}
    names = [c.scope.in_order(start[i], orders[i]) for i in carried]

    inner = Scope(c.scope)
    state = {}
    for i in carried:
        tensor = body.inputs[i]
        state[i] = Value(
            _shape(tensor, start[i]), dtype_of(tensor), inner.new_name("state"), orders[i]
        )
    given = {i: inputs[i] for i in range(len(inputs)) if kept[i]}
    going = _condition(c.scope, condition, {**given, **start})
    after = Converter(
        body, inner, {body.inputs[i].name: value for i, value in {**given, **state}.items()}
    ).convert([body.outputs[i] for i in carried])
    after = [
        Value(value.shape, value.dtype, inner.in_order(value, orders[i]), orders[i])
        for i, value in zip(carried, after, strict=True)
    ]
    still = _condition(inner, condition, {**given, **dict(zip(carried, after, strict=True))})
    outputs = _emit(c.scope, inner, names, going, still, list(state.values()), after)
    found = dict(zip(carried, outputs, strict=True))
    return [
        inputs[i] if kept[i] else c.result(op, found[i], orders[i], i) if i in found else inputs[i]
        for i in range(len(inputs))
    ]


def _shape(tensor: Any, start: Value) -> tuple[int | None, ...]:
    return shape_of(tensor) if tensor.shape.rank is not None else start.shape


def _source(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _used(body: Any, condition: Any, kept: list[bool], op: Any) -> list[bool]:
    """Which parts of the state somebody reads: behind the loop, in its condition, or in the body
    for another such part."""
    count = len(kept)
    reads = [_inputs_of(body, body.outputs[i]) for i in range(count)]
    asked = _inputs_of(condition, condition.outputs[0])
    used = [bool(op.outputs[i].consumers()) or i in asked for i in range(count)]
    # Outputs of a function's graph have no consumers.
    outputs = {id(tensor.op) for tensor in getattr(op.graph, "outputs", [])}
    if id(op) in outputs:
        used = [True] * count
    changed = True
    while changed:
        changed = False
        for i in range(count):
            if used[i] and not kept[i]:
                for j in reads[i]:
                    changed = changed or not used[j]
                    used[j] = True
    return used


def _inputs_of(graph: Any, tensor: Any) -> set[int]:
    """Numbers of the graph's inputs that a tensor depends on."""
    places = {given.name: i for i, given in enumerate(graph.inputs)}
    found, seen, left = set(), set(), [tensor]
    while left:
        now = left.pop()
        if now.name in places:
            found.add(places[now.name])
        elif now.op.name not in seen:
            seen.add(now.op.name)
            left += now.op.inputs
    return found


def _condition(scope: Scope, graph: Any, values: dict[int, Value]) -> str:
    given = {graph.inputs[i].name: value for i, value in values.items()}
    (value,) = Converter(graph, scope, given).convert([graph.outputs[0]])
    return scope.plain(value)


def _emit(
    outer: Scope,
    inner: Scope,
    names: list[str],
    going: str,
    still: str,
    state: list[Value],
    after: list[Value],
) -> list[str]:
    import onnx

    def described(name: str, value: Value) -> Any:
        order: Order = value.layout
        sides: list[Any] = [None] * value.rank
        for axis, place in enumerate(order):
            sides[place] = value.shape[axis]
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        return onnx.helper.make_tensor_value_info(name, kind, sides)

    results = []
    for value in after:
        # An output of a body is made there, and is not one of its other outputs.
        name = inner.new_name("next")
        inner.add(onnx.helper.make_node("Identity", [value.name], [name]))
        results.append(name)
    last = inner.new_name("going")
    inner.add(onnx.helper.make_node("Identity", [still], [last]))
    fused(inner, [last, *results])
    boolean = onnx.TensorProto.BOOL
    number = inner.new_name("step")
    before = inner.new_name("going")
    graph = onnx.helper.make_graph(
        inner.nodes,
        outer.new_name("body"),
        [
            onnx.helper.make_tensor_value_info(number, onnx.TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info(before, boolean, []),
            *(described(value.name, value) for value in state),
        ],
        [
            onnx.helper.make_tensor_value_info(last, boolean, []),
            *(described(name, value) for name, value in zip(results, after, strict=True)),
        ],
    )
    outputs = [outer.new_name("loop") for _ in names]
    outer.add(onnx.helper.make_node("Loop", ["", going, *names], outputs, body=graph))
    return outputs
