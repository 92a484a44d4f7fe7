"""The functions of a flow that become graphs, with named inputs and outputs."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Graph(NamedTuple):
    """One function of an export.

    ``function`` takes tensors in the order of ``signature`` and returns a dict of tensors, whose
    shapes without the batch are in ``shapes``; tracing does not always find them.
    """

    name: str
    function: Callable[..., dict[str, Any]]
    signature: list[Any]
    shapes: dict[str, tuple[int, ...]] = {}  # noqa: RUF012


def graphs(flow: Any) -> list[Graph]:
    """Encode, decode and log_prob; for a conditional flow also condition, in front.

    A conditional flow's ``condition`` graph makes the features that the other three take as
    ``feature_0``, ``feature_1``, ..., so that many samples of one condition run it once.
    """
    import tensorflow as tf
    from keras import tree

    def spec(shape: tuple[int, ...], name: str) -> Any:
        return tf.TensorSpec((None, *shape), tf.float32, name=name)

    image = spec(flow.float_shape, "image")
    latents = [spec(shape, f"latent_{i}") for i, shape in enumerate(flow.latent_shapes)]
    features: list[Any] = []
    structure: Any = None
    found: list[Graph] = []
    if flow.conditional:
        condition = tf.TensorSpec(
            (None, *flow.condition_shape), flow.condition_dtype, name="condition"
        )

        def encode_condition(condition: Any) -> dict[str, Any]:
            parts = tree.flatten(flow.traced_condition(condition))
            return {f"feature_{i}": part for i, part in enumerate(parts)}

        traced = tf.function(flow.traced_condition, autograph=False)
        structure = traced.get_concrete_function(condition).structured_outputs
        features = [
            spec(tuple(part.shape[1:]), f"feature_{i}")
            for i, part in enumerate(tree.flatten(structure))
        ]
        shapes = {spec.name: tuple(spec.shape[1:]) for spec in features}
        found.append(Graph("condition", encode_condition, [condition], shapes))

    def packed(parts: Any) -> Any:
        return tree.pack_sequence_as(structure, list(parts)) if parts else None

    # Of the last tensors, so that encode and log_prob are traced once where they are together.
    encoded: dict[str, Any] = {}

    def codes_of(image: Any, parts: Any) -> Any:
        given = encoded.get("inputs", ())
        inputs = (image, *parts)
        if len(given) != len(inputs) or any(a is not b for a, b in zip(given, inputs, strict=True)):
            encoded.update(inputs=inputs, codes=flow.traced_encode(image, packed(parts)))
        return encoded["codes"]

    def encode(image: Any, *parts: Any) -> dict[str, Any]:
        codes, log_det = codes_of(image, parts)
        return {**{f"latent_{i}": z for i, z in enumerate(codes)}, "log_det": log_det}

    def decode(*inputs: Any) -> dict[str, Any]:
        count = len(latents)
        return {"image": flow.traced_decode(inputs[:count], packed(inputs[count:]))}

    def log_prob(image: Any, *parts: Any) -> dict[str, Any]:
        if not flow.scores_latents():
            return {"log_prob": flow.traced_log_prob(image, packed(parts))}
        return {"log_prob": flow.traced_log_prob_of(*codes_of(image, parts))}

    codes = {spec.name: tuple(spec.shape[1:]) for spec in latents}
    return [
        *found,
        Graph("encode", encode, [image, *features], {**codes, "log_det": ()}),
        Graph("decode", decode, [*latents, *features], {"image": flow.float_shape}),
        Graph("log_prob", log_prob, [image, *features], {"log_prob": ()}),
    ]
