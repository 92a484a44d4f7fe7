"""Write a flow as one SavedModel with an endpoint for each of its functions."""

from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.files import check_free, replacing_folder
from attnflow_keras.runtime.errors import ExportError
from export import fixtures
from export.backend import check_backend, check_exported
from export.graphs import graphs


def saved_model(
    flow: Any, folder: str | Path, overwrite: bool = False, version: int = 1
) -> dict[str, float]:
    """Export a flow in TensorFlow Serving's layout: ``folder/1/saved_model.pb``.

    Endpoints, each a signature of the same name, with named inputs and outputs and a dynamic
    batch: ``encode``, ``decode`` and ``log_prob`` as in ``export.onnx``, and ``sample``, which
    takes ``n`` (int32), ``temperature`` (float32) and ``seed`` (int32 ``(2,)``), all but the
    last scalars, and returns ``image``. Its noise is TensorFlow's, not that of ``flow.sample``.
    A conditional flow also has ``condition``; the other endpoints take its features, and ``sample``
    draws one image for each of them in place of ``n``. Requests without an endpoint, and
    ``keras.layers.TFSMLayer``, use ``serving_default``: ``log_prob``, which takes ``image`` and,
    for a conditional flow, the raw ``condition``.

    ``tf.saved_model.load(folder / "1")`` needs neither Keras nor this package.

    Args:
        flow: a flow; it is exported from a float32 copy.
        folder: the folder to write.
        overwrite: replace a folder that exists.
        version: name of the version's folder, at least 1.

    Returns:
        Maximum differences from Keras after loading: ``log_prob`` in bits per dimension and
        ``round_trip``.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: the loaded model differs from Keras; nothing is written.
    """
    check_backend()
    import tensorflow as tf

    from attnflow_keras.models import Flow

    if not isinstance(flow, Flow):
        raise ExportError(
            f"flow must be a Flow of attnflow_keras, not an exported folder; got "
            f"{type(flow).__name__}"
        )
    check_exported(flow)
    check_integer("version", version)
    check_free(Path(folder), overwrite)
    flow = flow.clone(dtype="float32")
    found = {graph.name: graph for graph in graphs(flow)}
    module = tf.Module()
    module.variables_ = [v.value for v in flow.variables]
    signatures = {
        name: tf.function(graph.function, input_signature=graph.signature, autograph=False)
        for name, graph in found.items()
    }
    signatures["sample"] = _sample(flow, found["decode"])
    signatures["serving_default"] = _default(found)
    for name, function in signatures.items():
        setattr(module, name, function)
    with replacing_folder(folder, overwrite) as part:
        target = part / str(version)
        tf.saved_model.save(module, str(target), signatures=signatures)
        report = _compare(flow, tf.saved_model.load(str(target)))
    return report


def _default(found: dict[str, Any]) -> Any:
    import tensorflow as tf

    score = found["log_prob"]
    condition = found.get("condition")
    if condition is None:
        return tf.function(score.function, input_signature=score.signature, autograph=False)

    def of_condition(image: Any, condition: Any) -> dict[str, Any]:
        features = found["condition"].function(condition)
        return score.function(image, *(features[spec.name] for spec in score.signature[1:]))

    signature = [score.signature[0], *condition.signature]
    return tf.function(of_condition, input_signature=signature, autograph=False)


def _sample(flow: Any, decode: Any) -> Any:
    import tensorflow as tf

    count = len(flow.latent_shapes)
    features = decode.signature[count:]

    def draw(n: Any, temperature: Any, seed: Any, *parts: Any) -> dict[str, Any]:
        latents = [
            # Latents must not share their noise: each gets a seed of its own.
            temperature * tf.random.stateless_normal((n, *shape), tf.stack([seed[0] + i, seed[1]]))
            for i, shape in enumerate(flow.latent_shapes)
        ]
        return decode.function(*latents, *parts)

    scalar = [
        tf.TensorSpec((), tf.float32, name="temperature"),
        tf.TensorSpec((2,), tf.int32, name="seed"),
    ]
    if features:

        def of_features(temperature: Any, seed: Any, *parts: Any) -> dict[str, Any]:
            return draw(tf.shape(parts[0])[0], temperature, seed, *parts)

        return tf.function(of_features, input_signature=[*scalar, *features], autograph=False)
    number = tf.TensorSpec((), tf.int32, name="n")
    return tf.function(draw, input_signature=[number, *scalar], autograph=False)


def _compare(flow: Any, loaded: Any) -> dict[str, float]:
    import numpy as np
    import tensorflow as tf

    if flow.conditional:
        return {}
    x = flow.dequantize(flow.sample(fixtures.COUNT, temperature=0.8, seed=0))
    given = tf.constant(x)
    score = loaded.signatures["log_prob"](image=given)["log_prob"].numpy()
    codes = loaded.signatures["encode"](image=given)
    codes.pop("log_det")
    back = loaded.signatures["decode"](**codes)["image"].numpy()
    difference = np.abs(score - np.asarray(flow.log_prob(x))).max()
    report = {
        "log_prob": float(difference / (flow.num_dims * np.log(2.0))),
        "round_trip": float(np.abs(back - x).max()),
    }
    if not report["log_prob"] <= fixtures.LIMITS["float32"]["log_prob"]:
        raise ExportError(
            f"log_prob of the SavedModel differs from Keras by {report['log_prob']:.3g} "
            "bits/dim; nothing was written"
        )
    return report
