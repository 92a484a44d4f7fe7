"""Write a static site that runs an export in the browser."""

import html
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.conditions import ClassKind, LabelKind, PictureKind, from_description
from attnflow_keras.core.extras import install_command
from attnflow_keras.core.files import check_free, replacing_folder, write_json
from attnflow_keras.core.untrusted import printable
from attnflow_keras.data.bluemarble import IGBP_CLASSES, IGBP_PALETTE
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
from export import fixtures
from export.web_runtime import VERSION, runtime_files

TITLE = "{{title}}"
PAGE = "index.html"
CONTROL_FLOW = ("Loop", "If", "Scan")


def web(
    folder: str | Path,
    out: str | Path,
    runtime: str | Path | None = None,
    title: str | None = None,
    class_names: Sequence[str] | None = None,
    examples: bool = True,
    overwrite: bool = False,
    webgpu: bool = False,
) -> dict[str, Any]:
    """Write a static site that runs an export in the browser.

    For an unconditional or class-conditional flow, the page samples, scores images and morphs
    between two; for super-resolution it restores images, and for label to photo it samples photos
    for painted label maps. Any file server can host the site. A seed gives the same images as in
    Python.

    >>> export.web("out/onnx", "site")  # doctest: +SKIP
    {'task': 'unconditional', 'bytes': 14500000, 'examples': 4}

    Args:
        folder: a folder written by ``export.onnx``.
        out: the folder to write.
        runtime: tarball of onnxruntime-web, or a folder of its files; None for the user's cache,
            to which it is downloaded the first time.
        title: heading of the page; by default the flow's name.
        class_names: names of the classes; by default those of a known palette, or numbers.
        examples: whether to include the images recorded in the export, which then are public.
        overwrite: replace a folder that exists.
        webgpu: use the visitor's GPU, if the browser supports it, for graphs without loops or
            branches, which WebGPU can't run; the site is 13 MB larger. Needs the package ``onnx``.

    Returns:
        ``task``, the size in ``bytes`` and the number of ``examples``.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False.
        ExportError: not a valid export, one that the page has no controls for, or no runtime.
        ImportError: ``webgpu`` without the package ``onnx``.
        ValueError: a wrong number of class names, or a site that would replace the export.
    """
    source, target = Path(folder), Path(out)
    check_free(target, overwrite)
    if target.resolve() in (source.resolve(), *source.resolve().parents):
        raise ValueError(
            f"out must be another folder than the export and those above it; got {out}"
        )
    content = manifest.read(source)
    task = _task(content)
    names = _class_names(content, class_names)
    files = runtime_files(runtime, webgpu)
    on_gpu = _without_control_flow(source, content) if webgpu else []
    with replacing_folder(target, overwrite) as part:
        for name, data in _page():
            if name == PAGE:
                shown = html.escape(printable(title or content["name"]))
                data = data.decode().replace(TITLE, shown).encode()
            _write(part / name, data)
        for name, data in files.items():
            _write(part / "runtime" / name, data)
        for graph in content["graphs"].values():
            data = manifest.read_file(source, graph["file"], content)
            _write(part / "model" / graph["file"], data)
        write_json(part / "model" / manifest.NAME, content)
        listed = _write_examples(source, part, content) if examples else {}
        site = {"runtime": VERSION, "classes": names, "examples": listed, "webgpu": on_gpu}
        write_json(part / "site.json", site)
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    count = listed["images"]["shape"][0] if listed else 0
    return {"task": task, "bytes": size, "examples": count}


def _task(content: dict[str, Any]) -> str:
    """In words; an ExportError for a condition that the page has no controls for."""
    if content["condition"] is None:
        task = "unconditional"
    else:
        kind = from_description(content["condition"], tuple(content["image"]["shape"]))
        if isinstance(kind, LabelKind) and kind.palette is not None:
            task = "label to photo"
        elif isinstance(kind, PictureKind):
            task = "super-resolution"
        elif isinstance(kind, ClassKind):
            task = "class-conditional"
        else:
            raise ExportError(
                f"the page has no controls for the condition of {content['name']}, which takes "
                f"{kind.expected}"
            )
    channels = content["image"]["shape"][-1]
    if channels not in (1, 3):
        raise ExportError(f"the page shows images of 1 or 3 channels; these have {channels}")
    return task


def _class_names(content: dict[str, Any], given: Sequence[str] | None) -> list[str]:
    """Names of the classes; an empty list where there are none."""
    condition = content["condition"] or {}
    count = condition.get("classes") or 0
    if given is not None:
        if len(given) != count:
            raise ValueError(f"class_names must have one name per class, {count}; got {len(given)}")
        if not all(str(name).strip() for name in given):
            raise ValueError(f"class_names must not be empty; got {list(given)}")
        return [printable(str(name)) for name in given]
    if condition.get("palette") == IGBP_PALETTE.tolist():
        return [name.capitalize() for name in IGBP_CLASSES]
    return [f"Class {i}" for i in range(count)]


def _without_control_flow(source: Path, content: dict[str, Any]) -> list[str]:
    """The graphs that run as a whole on a GPU; an ExportError if there are none."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"webgpu needs onnx: {install_command('export')}") from error

    def plain(file: str) -> bool:
        graph = onnx.load_from_string(manifest.read_file(source, file, content)).graph
        return not any(node.op_type in CONTROL_FLOW for node in graph.node)

    names = [name for name, graph in content["graphs"].items() if plain(graph["file"])]
    if not names:
        raise ExportError(f"all graphs of {content['name']} have loops, which WebGPU can't run")
    return names


def _page() -> Iterator[tuple[str, bytes]]:
    """Files of the page, as they are in this package."""
    for path in sorted(resources.files("export").joinpath("web").iterdir(), key=lambda p: p.name):
        if path.is_file():
            name = "runtime/LICENSE" if path.name == "runtime-licence.txt" else path.name
            yield name, path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_examples(source: Path, part: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write the images that an export has recorded, and their conditions, as plain bytes."""
    listed = {}
    if fixtures.NAME not in content["files"]:
        return {}
    recorded = fixtures.read(source, content)
    wanted = {"images": content["image"]["shape"]}
    if content["condition"] and content["condition"]["shape"]:
        wanted["condition"] = content["condition"]["shape"]
    for name, shape in wanted.items():
        array = recorded.get(name)
        if array is None or array.shape[1:] != tuple(shape) or array.dtype.kind not in "iu":
            return {}
        file = f"example-{name}.bin"
        _write(part / file, np.ascontiguousarray(array, "uint8").tobytes())
        listed[name] = {"file": file, "shape": list(array.shape)}
    return listed
