"""Write a flow as an NVIDIA Triton model repository."""

import shutil
from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.files import check_free, replacing_folder
from attnflow_keras.runtime import manifest
from export.backend import check_backend

TYPES = {
    f"{kind}{bits}": f"TYPE_{kind.upper()}{bits}"
    for kind in ("int", "uint")
    for bits in (8, 16, 32, 64)
}
TYPES |= {f"float{bits}": f"TYPE_FP{bits}" for bits in (16, 32, 64)}


def triton(
    flow: Any,
    folder: str | Path,
    overwrite: bool = False,
    max_batch_size: int = 64,
    max_queue_delay_us: int = 1000,
    **options: Any,
) -> dict[str, float]:
    """Export a flow to ``folder/<name>_<graph>/{config.pbtxt, 1/model.onnx}``.

    One Triton model for each graph of ``export.onnx``, with dynamic batching, for its ONNX
    Runtime backend. The client dequantizes images and draws latents.

    Args:
        flow: a flow, or a folder written by ``export.onnx``.
        folder: the model repository to write.
        overwrite: replace a folder that exists.
        max_batch_size: maximum size of the batches that Triton forms.
        max_queue_delay_us: maximum time to wait for more requests, in microseconds.
        **options: arguments of ``export.onnx``.

    Returns:
        Differences from Keras, as returned by ``export.onnx``.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: as in ``export.onnx``.
    """
    check_integer("max_batch_size", max_batch_size)
    check_integer("max_queue_delay_us", max_queue_delay_us, 0)
    check_backend()
    check_free(Path(folder), overwrite)
    with replacing_folder(folder, overwrite) as part:
        if isinstance(flow, str | Path):
            source = Path(flow)
        else:
            from export.to_onnx import onnx

            source = part / "onnx"
            onnx(flow, source, **options)
        content = manifest.read(source)
        for name, graph in content["graphs"].items():
            model = part / f"{content['name']}_{name}"
            (model / "1").mkdir(parents=True)
            data = manifest.read_file(source, graph["file"], content)
            (model / "1" / "model.onnx").write_bytes(data)
            text = _config(model.name, graph, max_batch_size, max_queue_delay_us)
            (model / "config.pbtxt").write_text(text)
        if source.parent == part:
            shutil.rmtree(source)
    return content.get("parity", {})


def _config(name: str, graph: dict[str, Any], max_batch_size: int, delay: int) -> str:
    """A model configuration in protobuf's text format."""
    parts = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {max_batch_size}",
    ]
    for key in ("input", "output"):
        for value in graph[f"{key}s"]:
            # The batch is not among the dims; a value of one number per image has the dim 1.
            dims = value["shape"][1:]
            shape = "" if dims else " reshape { shape: [ ] }"
            listed = ", ".join(map(str, dims or [1]))
            parts.append(
                f'{key} {{ name: "{value["name"]}" data_type: {TYPES[value["dtype"]]} '
                f"dims: [ {listed} ]{shape} }}"
            )
    parts.append(f"dynamic_batching {{ max_queue_delay_microseconds: {delay} }}")
    return "\n".join(parts) + "\n"
