"""Write a flow as three ONNX graphs, checked against Keras before they are kept."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras import noise

OPSET = 18
PARITY_IMAGES = 4
# Largest differences from Keras that an export may have: log_prob in bits per dimension,
# latents and images relative to max(1, |value|).
LOG_PROB_TOLERANCE = 1e-4
VALUE_TOLERANCE = 1e-2


class ExportError(RuntimeError):
    """An export that failed its checks; nothing was written."""


def onnx(
    flow: Any, folder: str | Path, overwrite: bool = False, images: np.ndarray | None = None
) -> dict[str, float]:
    """Export ``encode.onnx``, ``decode.onnx`` and ``log_prob.onnx``.

    | graph    | inputs                             | outputs                                  |
    |----------|------------------------------------|------------------------------------------|
    | encode   | ``image`` float32 ``(n, h, w, c)`` | ``latent_0``, ..., ``log_det`` ``(n,)``  |
    | decode   | ``latent_0``, ...                  | ``image``                                |
    | log_prob | ``image``                          | ``log_prob`` ``(n,)``, log-density, nats |

    Images are floats ``(k + u) / 256 - 0.5``. The first axis is dynamic. Each graph passes
    onnx.checker, loads in onnxruntime's CPU provider and agrees with Keras, in a temporary
    folder that is moved into place only then.

    Args:
        flow: a flow; it is exported from a float32 copy.
        folder: the folder to write.
        overwrite: replace a folder that exists.
        images: uint8 images for the comparison with Keras; samples of the flow if not given.

    Returns:
        Largest differences from Keras: ``log_prob`` (bits per dimension), ``latents``,
        ``image``, and ``round_trip``, the error of decode(encode(x)) in onnxruntime.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: a graph that the checker or onnxruntime rejects, or that differs.
    """
    from attnflow_keras.models import Flow

    if not isinstance(flow, Flow):
        raise ExportError(f"flow must be a Flow of attnflow_keras; got {type(flow).__name__}")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give the name of a folder")
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{folder} exists; pass overwrite=True to replace it")
    if flow.conditional:
        raise ExportError("conditional flows can't be exported yet")
    flow = _float32_copy(flow)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, function, signature in graphs(flow):
            _convert(function, signature, part / f"{name}.onnx")
        report = compare(flow, part, images)
        part.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return report


def graphs(flow: Any) -> list[tuple[str, Callable, list[Any]]]:
    """Name, function and input signature of each graph."""
    import tensorflow as tf

    image = tf.TensorSpec((None, *flow.float_shape), tf.float32, name="image")
    latents = [
        tf.TensorSpec((None, *shape), tf.float32, name=f"latent_{i}")
        for i, shape in enumerate(flow.latent_shapes)
    ]

    def encode(image: Any) -> dict[str, Any]:
        codes, log_det = flow.traced_encode(image)
        return {**{f"latent_{i}": z for i, z in enumerate(codes)}, "log_det": log_det}

    def decode(*codes: Any) -> dict[str, Any]:
        return {"image": flow.traced_decode(codes)}

    def log_prob(image: Any) -> dict[str, Any]:
        return {"log_prob": flow.traced_log_prob(image)}

    return [
        ("encode", encode, [image]),
        ("decode", decode, latents),
        ("log_prob", log_prob, [image]),
    ]


def compare(flow: Any, folder: Path, images: np.ndarray | None = None) -> dict[str, float]:
    """Largest differences between the graphs in onnxruntime and the flow in Keras.

    Raises:
        ExportError: a difference beyond the tolerances, naming the graph.
    """
    if images is None:
        images = flow.sample(PARITY_IMAGES, temperature=0.8, seed=0)
    x = flow.dequantize(images[:PARITY_IMAGES])
    sessions = {
        name: _session(folder / f"{name}.onnx") for name in ("encode", "decode", "log_prob")
    }
    latents, _ = flow.encode(x)
    latents = [np.asarray(z) for z in latents]
    # Latents of a different scale than encoded images have, as sampling draws them.
    drawn = noise.normal_latents(noise.generator(0, noise.LATENTS), len(x), flow.latent_shapes)

    *codes, _ = sessions["encode"].run(
        [f"latent_{i}" for i in range(len(latents))] + ["log_det"], {"image": x}
    )
    log_prob = sessions["log_prob"].run(["log_prob"], {"image": x})[0]
    back = _decode(sessions["decode"], codes)
    decoded = _decode(sessions["decode"], drawn)
    report = {
        "log_prob": _largest(log_prob, flow.log_prob(x)) / (flow.num_dims * np.log(2.0)),
        "latents": max(_relative(a, b) for a, b in zip(codes, latents, strict=True)),
        "image": _relative(decoded, np.asarray(flow.decode(drawn))),
        "round_trip": _largest(back, x),
    }
    limits = {
        "log_prob": LOG_PROB_TOLERANCE,
        "latents": VALUE_TOLERANCE,
        "image": VALUE_TOLERANCE,
        "round_trip": VALUE_TOLERANCE,
    }
    for name, value in report.items():
        if not value <= limits[name]:
            raise ExportError(
                f"{name} differs from Keras by {value:.3g} in onnxruntime, more than "
                f"{limits[name]:.3g}; nothing was written"
            )
    return {name: float(value) for name, value in report.items()}


def _float32_copy(flow: Any) -> Any:
    config = {**flow.get_config(), "dtype": "float32"}
    copy = type(flow).from_config(config)
    copy.set_weights(flow.get_weights())
    return copy


def _convert(function: Callable, signature: list[Any], path: Path) -> None:
    import onnx as onnx_package
    import tensorflow as tf
    import tf2onnx

    traced = tf.function(function, input_signature=signature, autograph=False)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
        # One name for the batch, which the converter leaves as an unknown at each place.
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx_package.save(model, path)
    try:
        onnx_package.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise ExportError(
            f"{path.name} fails onnx.checker: {error}; nothing was written"
        ) from error
    _session(path)


def _session(path: Path) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(
            f"onnxruntime can't load {path.name}: {error}; nothing was written"
        ) from error


def _decode(session: Any, latents: Any) -> np.ndarray:
    feed = {f"latent_{i}": np.asarray(z, dtype="float32") for i, z in enumerate(latents)}
    return session.run(["image"], feed)[0]


def _largest(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a, "float64") - np.asarray(b, "float64")).max())


def _relative(a: Any, b: Any) -> float:
    b = np.asarray(b, "float64")
    return float((np.abs(np.asarray(a, "float64") - b) / np.maximum(1.0, np.abs(b))).max())
