"""Write a flow as ONNX graphs with a manifest, checked before they are kept."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.files import check_free, replacing_folder
from attnflow_keras.core.untrusted import is_plain_name
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
from export import fixtures
from export.backend import check_backend, check_flow
from export.graphs import Graph, graphs

OPSET = 18
# Read by tf2onnx, which goes by whether it is set.
CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"
# Nodes of a graph up to which Keras' outputs are computed by graphs.
MOST_TRACED = 300
PRECISIONS = {"float32": "float32", "float16": "mixed_float16"}

Progress = Callable[[str], None]


def onnx(
    flow: Any,
    folder: str | Path,
    overwrite: bool = False,
    images: np.ndarray | None = None,
    condition: Any = None,
    precision: str = "float32",
    progress: Progress | None = None,
) -> dict[str, float]:
    """Export a flow for ``attnflow_keras.runtime.Session`` and any other ONNX runtime.

    | graph     | inputs                             | outputs                                  |
    |-----------|------------------------------------|------------------------------------------|
    | encode    | ``image`` float32 ``(n, h, w, c)`` | ``latent_0``, ..., ``log_det`` ``(n,)``  |
    | decode    | ``latent_0``, ...                  | ``image``                                |
    | log_prob  | ``image``                          | ``log_prob`` ``(n,)``, log-density, nats |
    | condition | ``condition``                      | ``feature_0``, ..., for the other three  |

    The last one exists only for conditional flows. Images are floats ``(k + u) / 256 - 0.5`` of the
    flow's ``float_shape``; the first axis is dynamic. ``manifest.json`` describes the graphs, with
    the SHA-256 of every file and the differences from Keras; ``fixtures.npz`` has some inputs with
    Keras' outputs. The folder is moved into place only after each graph has passed onnx.checker,
    loaded in onnxruntime's CPU provider, and agreed with Keras.

    Args:
        flow: a flow; it is exported from a float32 copy.
        folder: the folder to write.
        overwrite: replace a folder that exists.
        images: real uint8 images to record and compare on; by default samples of the flow.
        condition: their conditions, for a conditional flow.
        precision: ``"float32"``, or ``"float16"``, which uses half precision in the conditioner
            networks only: log_prob stays within 0.01 bits per dimension, latents and samples
            change more.
        progress: called with the name of each stage.

    Returns:
        Differences from Keras, see ``export.fixtures.compare``.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: an operation or graph can't be converted, or differs; nothing is written.
    """
    check_flow(flow, images, condition)
    check_choice("precision", precision, PRECISIONS)
    if not is_plain_name(flow.name):
        raise ValueError(
            f"the flow's name must be one plain name, without a path or quotes; got {flow.name!r}"
        )
    check_backend()
    check_free(Path(folder), overwrite)
    say = progress or (lambda stage: None)
    reference = flow.clone(dtype="float32")
    exported = reference if precision == "float32" else flow.clone(PRECISIONS[precision])
    real = images is not None
    with replacing_folder(folder, overwrite) as part:
        described = {}
        nodes = 0
        listed = list(graphs(exported))
        for together in _together(listed):
            say(f"converting {' and '.join(graph.name for graph in together)}")
            models = _models(together, exported.variables)
            # Of decode, in which a flow has its loops if it has any.
            nodes = len(models[0].graph.node) if together[0].name == "decode" else nodes
            for graph, model in zip(together, models, strict=True):
                described[graph.name] = _write(model, graph, part / f"{graph.name}.onnx")
        described = {graph.name: described[graph.name] for graph in listed}
        say("recording Keras' outputs")
        with _in_the_faster_way(nodes):
            if images is None:
                images = reference.sample(fixtures.COUNT, temperature=0.8, seed=0)
            recorded = fixtures.record(reference, np.asarray(images), condition)
        fixtures.save(part, recorded)
        content = describe(flow, described, precision, "real" if real else "sampled")
        manifest.write(part, content)
        say("comparing in onnxruntime")
        report = _compare(part, recorded, precision)
        manifest.write(part, {**content, "parity": report})
    return report


def _compare(folder: Path, recorded: dict[str, np.ndarray], precision: str) -> dict[str, float]:
    from attnflow_keras.runtime import Session

    session = Session(folder, "cpu", check_files=False)
    for name in session.manifest["graphs"]:
        session.graph(name)
    report = fixtures.compare(session, recorded)
    failed = fixtures.failures(report, precision)
    if failed:
        raise ExportError(f"{'; '.join(failed)}; nothing was written")
    return report


def convert(graph: Graph, path: Path, variables: Any = ()) -> dict[str, Any]:
    """Write one graph; returns its entry in the manifest.

    Args:
        graph: the graph.
        path: the file to write.
        variables: Keras variables that it reads.
    """
    (model,) = _models([graph], variables)
    return _write(model, graph, path)


def _together(given: Iterable[Graph]) -> list[list[Graph]]:
    """The graphs, with those side by side that have the same inputs."""
    found: dict[tuple[str, ...], list[Graph]] = {}
    for graph in given:
        found.setdefault(tuple(spec.name for spec in graph.signature), []).append(graph)
    return list(found.values())


def _models(given: list[Graph], variables: Any) -> list[Any]:
    """ONNX models of graphs that have the same inputs.

    They are traced together, so that what they share is traced and converted once.
    """
    from export.conversion import UnsupportedError, part, to_model, trace

    names: list[list[str]] = []

    def function(*inputs: Any) -> dict[str, Any]:
        found = [graph.function(*inputs) for graph in given]
        names[:] = [list(outputs) for outputs in found]
        return {name: value for outputs in found for name, value in outputs.items()}

    try:
        model = to_model(trace(function, given[0].signature, variables), OPSET)
    except UnsupportedError:
        # Operations of a user's own layers.
        return [_by_tf2onnx(graph) for graph in given]
    return [part(model, outputs) for outputs in names]


def _write(model: Any, graph: Graph, path: Path) -> dict[str, Any]:
    import onnx as onnx_package

    _name_sides(model, graph)
    onnx_package.save(model, path)
    try:
        onnx_package.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise ExportError(
            f"{path.name} fails onnx.checker: {error}; nothing was written"
        ) from error
    return {
        "file": path.name,
        "inputs": [_value(value) for value in model.graph.input],
        "outputs": [_value(value) for value in model.graph.output],
        "nodes": _count_nodes(model.graph),
    }


def _name_sides(model: Any, graph: Graph) -> None:
    for value in (*model.graph.input, *model.graph.output):
        # One name for the batch, which converters leave as an unknown at each place.
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for value in model.graph.output:
        for dim, side in zip(
            value.type.tensor_type.shape.dim[1:], graph.shapes.get(value.name, ()), strict=False
        ):
            dim.dim_value = side


def _by_tf2onnx(graph: Graph) -> Any:
    import tensorflow as tf
    import tf2onnx

    from attnflow_keras.ops import loops

    with loops.lowered(loops.Lowering.ONNX), _without_copies():
        traced = tf.function(graph.function, input_signature=graph.signature, autograph=False)
        model, _ = tf2onnx.convert.from_function(
            traced, input_signature=graph.signature, opset=OPSET
        )
    return model


@contextlib.contextmanager
def _in_the_faster_way(nodes: int) -> Iterator[None]:
    """Let Keras compute a few images operation by operation, or as graphs.

    Tracing takes some milliseconds for each operation: of a large graph more than one run takes.
    Where there are few, loops repeat them many times.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    many = nodes > MOST_TRACED
    tf.config.run_functions_eagerly(before or many)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Keep tf2onnx from copying the graph before each of its hundred passes.

    It does so to go on when a pass fails, and spends most of its time on it. Here a pass that
    fails ends the export.
    """
    before = os.environ.get(CATCH_ERRORS)
    os.environ[CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        if before is None:
            del os.environ[CATCH_ERRORS]
        else:
            os.environ[CATCH_ERRORS] = before


def _value(value: Any) -> dict[str, Any]:
    import onnx as onnx_package

    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": onnx_package.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
        "shape": [dim.dim_param or dim.dim_value for dim in tensor.shape.dim],
    }


def _count_nodes(graph: Any) -> int:
    """Nodes of a graph, those in the bodies of loops included."""
    return sum(
        1 + sum(_count_nodes(a.g) for a in node.attribute if a.HasField("g")) for node in graph.node
    )


def describe(flow: Any, described: dict[str, Any], precision: str, images: str) -> dict[str, Any]:
    """The manifest of a flow's export, without its files and parity.

    Args:
        flow: the flow.
        described: file, inputs and outputs of each graph.
        precision: ``"float32"`` or ``"float16"``.
        images: whether the fixtures are of ``"real"`` or of ``"sampled"`` images.
    """
    condition = None
    if flow.conditional:
        condition = flow.condition_kind.describe()
    return {
        "name": flow.name,
        "class": type(flow).__name__,
        "metadata": flow.origin,
        "precision": precision,
        "opset": OPSET,
        "image": {
            "shape": list(flow.image_shape),
            "float_shape": list(flow.float_shape),
            "preprocess": flow.preprocess.to_config(),
            "side_multiple": flow.side_multiple,
            "order": flow.value_order,
            "levels": 256,
            "float": "(k + u) / 256 - 0.5, k the grey level, u uniform in (0, 1)",
            "range": [-0.5, 0.5],
        },
        "latents": [
            {"name": f"latent_{i}", "shape": list(shape)}
            for i, shape in enumerate(flow.latent_shapes)
        ],
        "condition": condition,
        "graphs": described,
        "fixtures": {"file": fixtures.NAME, "images": images},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    import importlib.metadata

    names = ("attnflow-keras", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
