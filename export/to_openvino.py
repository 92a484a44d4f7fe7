"""Write an ONNX export in OpenVINO's format."""

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

from attnflow_keras.core.extras import install_command
from attnflow_keras.core.files import check_free
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
from export import fixtures
from export.partial import Run, partial_export


def openvino(
    flow: Any, folder: str | Path, overwrite: bool = False, **options: Any
) -> dict[str, float]:
    """Export a flow as ``encode.xml`` and ``log_prob.xml`` with their ``.bin``, for OpenVINO.

    Names of inputs and outputs are those of ``export.onnx``, in float32. A conditional flow also
    has ``condition.xml``. ``decode.xml`` is written if the flow's inverse has no loops; those of
    mixture couplings and causal attention have loops that OpenVINO can't read. The manifest lists
    missing graphs with the reason.

    Args:
        flow: a flow, or a folder written by ``export.onnx`` in float32.
        folder: the folder to write.
        overwrite: replace a folder that exists.
        **options: arguments of ``export.onnx``.

    Returns:
        Differences from Keras, see ``export.fixtures.compare``.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: encode or log_prob does not convert or differs; nothing is written.
        ImportError: OpenVINO is not installed.
    """
    check_runtime()
    check_free(Path(folder), overwrite)
    if isinstance(flow, str | Path):
        return _convert(Path(flow), folder, overwrite, options.get("progress"))
    from export.to_onnx import onnx

    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "onnx"
        onnx(flow, source, **options)
        return _convert(source, folder, overwrite, options.get("progress"))


def check_runtime() -> None:
    """Raise ImportError unless OpenVINO is installed."""
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise ImportError(f"this export needs OpenVINO: {install_command('openvino')}") from error


def _convert(source: Path, folder: str | Path, overwrite: bool, progress: Any) -> dict[str, float]:
    content = manifest.read(source)
    if content["precision"] != "float32":
        raise ExportError(
            f"OpenVINO models are made from float32 exports; {source} is {content['precision']}"
        )

    def convert(name: str, part: Path) -> Run:
        import openvino

        graph = content["graphs"][name]
        try:
            model = openvino.convert_model(source / graph["file"])
        except Exception as error:
            raise ExportError(_reason(error)) from error
        path = part / f"{name}.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return _runner(path, graph)

    graphs = {name: {**g, "file": f"{name}.xml"} for name, g in content["graphs"].items()}
    versions = {**content["versions"], "openvino": importlib.metadata.version("openvino")}
    described = {**content, "kind": "openvino", "graphs": graphs, "versions": versions}
    described.pop("files")
    recorded = fixtures.read(source, content)
    names = list(content["graphs"])
    return partial_export(folder, overwrite, names, convert, recorded, described, progress)


def open_graph(folder: Path, name: str, content: dict[str, Any]) -> Run:
    """What runs a graph of a folder that :func:`openvino` wrote, on the CPU."""
    graph = content["graphs"][name]
    return _runner(folder / graph["file"], graph)


def _runner(path: Path, graph: dict[str, Any]) -> Run:
    import openvino

    # Half precision is what some CPUs take unless asked not to.
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = [value["name"] for value in graph["outputs"]]

    def run(given: Any) -> Any:
        inputs = {value["name"]: given[value["name"]] for value in graph["inputs"]}
        found = compiled(inputs)
        return {output: found[output] for output in outputs}

    return run


def _reason(error: Exception) -> str:
    """OpenVINO's message without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "failed at src" not in line]
    return " ".join(told or lines)
