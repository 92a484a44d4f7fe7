"""Write a flow in the format of LiteRT, formerly TensorFlow Lite."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.extras import install_command
from attnflow_keras.core.files import check_free
from attnflow_keras.ops import loops
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
from export import fixtures
from export.backend import check_backend, check_flow
from export.graphs import Graph, graphs
from export.partial import Progress, Run, partial_export
from export.to_onnx import describe


def litert(
    flow: Any,
    folder: str | Path,
    overwrite: bool = False,
    images: np.ndarray | None = None,
    condition: Any = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Export a flow as ``encode.tflite`` and ``log_prob.tflite``, for LiteRT on phones and boards.

    Each file has one signature with the file's name. Inputs and outputs have the names of
    ``export.onnx``, in float32; only LiteRT's built-in operations are used. A conditional flow also
    has ``condition.tflite``, and ``decode.tflite`` is written if the inverse converts. The manifest
    lists missing graphs with the reason.

    Args:
        flow: a flow; it is exported from a float32 copy.
        folder: the folder to write.
        overwrite: replace a folder that exists.
        images: real uint8 images to record and compare on; by default samples of the flow.
        condition: their conditions, for a conditional flow.
        progress: called with the name of each stage.

    Returns:
        Differences from Keras, see ``export.fixtures.compare``.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: encode or log_prob does not convert or differs; nothing is written.
    """
    check_flow(flow, images, condition)
    check_backend()
    check_free(Path(folder), overwrite)
    flow = flow.clone(dtype="float32")
    source = "sampled" if images is None else "real"
    if images is None:
        images = flow.sample(fixtures.COUNT, temperature=0.8, seed=0)
    found = {graph.name: graph for graph in graphs(flow)}

    def convert(name: str, part: Path) -> Run:
        data = _converted(flow, found[name])
        (part / f"{name}.tflite").write_bytes(data)
        return _runner(name, data)

    described = {name: _described(graph) for name, graph in found.items()}
    content = {**describe(flow, described, "float32", source), "kind": "litert"}
    recorded = fixtures.record(flow, np.asarray(images), condition)
    return partial_export(folder, overwrite, list(found), convert, recorded, content, progress)


def check_runtime() -> None:
    """Raise ImportError unless TensorFlow is installed, whose interpreter runs the graphs."""
    try:
        import tensorflow  # noqa: F401
    except ImportError as error:
        message = f"LiteRT graphs run in TensorFlow's interpreter: {install_command('tf')}"
        raise ImportError(message) from error


def open_graph(folder: Path, name: str, content: dict[str, Any]) -> Run:
    """What runs a graph of a folder that :func:`litert` wrote, with TensorFlow's interpreter.

    Raises:
        ExportError: a file that isn't that of the manifest.
    """
    return _runner(name, manifest.read_file(folder, content["graphs"][name]["file"], content))


def _converted(flow: Any, graph: Graph) -> bytes:
    import tensorflow as tf

    with loops.lowered(loops.Lowering.LITERT), tempfile.TemporaryDirectory() as saved:
        traced = tf.function(graph.function, input_signature=graph.signature, autograph=False)
        module = tf.Module()
        module.variables_ = [v.value for v in flow.variables]
        module.function = _folded(graph, traced.get_concrete_function())
        tf.saved_model.save(module, saved, signatures={graph.name: module.function})
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=[graph.name])
        try:
            return bytes(converter.convert())
        except Exception as error:
            raise ExportError(_reason(error)) from error


def _folded(graph: Graph, function: Any) -> Any:
    """The function with weights as constants, and what follows from them alone computed.

    That is where the operations are that LiteRT lacks, such as the inverses of 1x1 convolutions.
    A function with loops stays as it is: folding changes their bodies under the names that they
    have in this process.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    from tf2onnx.tf_loader import tf_optimize

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    if frozen.graph.as_graph_def().library.function:
        return function
    inputs = {spec.name: t.name for spec, t in zip(graph.signature, frozen.inputs, strict=True)}
    # Structured outputs are sorted by name.
    names = sorted(function.structured_outputs)
    outputs = {name: t.name for name, t in zip(names, frozen.outputs, strict=True)}
    with tf.Graph().as_default():
        definition = tf_optimize(
            list(inputs.values()), list(outputs.values()), frozen.graph.as_graph_def()
        )
    wrapped = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(definition, name=""), []
    )
    place = wrapped.graph.as_graph_element
    return wrapped.prune(
        {name: place(tensor) for name, tensor in inputs.items()},
        {name: place(tensor) for name, tensor in outputs.items()},
    )


def _runner(name: str, data: bytes) -> Run:
    import tensorflow as tf

    with warnings.catch_warnings():
        # It advises the package of the runtime alone, which an export does not need.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=data)
    runner = interpreter.get_signature_runner(name)
    inputs = set(runner.get_input_details())

    def run(given: Any) -> Any:
        return dict(runner(**{key: value for key, value in given.items() if key in inputs}))

    return run


def _described(graph: Graph) -> dict[str, Any]:
    inputs = [
        {"name": spec.name, "dtype": spec.dtype.name, "shape": ["batch", *spec.shape[1:]]}
        for spec in graph.signature
    ]
    outputs = [
        {"name": name, "dtype": "float32", "shape": ["batch", *shape]}
        for name, shape in graph.shapes.items()
    ]
    return {"file": f"{graph.name}.tflite", "inputs": inputs, "outputs": outputs}


def _reason(error: Exception) -> str:
    """The operations that LiteRT lacks, or the first line of the converter's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("Flex ops", "TF Select ops", "Details"))]
    return " ".join(told or lines[:1])
