"""What a manifest must hold before anything of it is used.

A manifest may be untrusted: names become paths and lines of configuration files, shapes become
arrays. Standard library and NumPy alone.
"""

import math
import re
from typing import Any

from attnflow_keras.core.checks import is_integer, is_number
from attnflow_keras.core.completion import ORDERS
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.core.untrusted import is_plain_name

# Of the exports that this package runs; others name the runtime that they are for.
KIND = "onnx"
PRECISIONS = ("float32", "float16")
GRAPHS = ("encode", "decode", "log_prob")
# Numbers in one image, latent or condition: 1 GB as float32.
MOST_NUMBERS = 2**28
DTYPE = re.compile(r"u?int(8|16|32|64)|float(16|32|64)")
# Names of a graph's values, which go into configuration files as they are.
VALUE_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def check(content: dict[str, Any]) -> None:
    """Raise ValueError, which names the key, unless the manifest is one that can be used."""
    files = _dict("files", content.get("files"))
    for name, entry in files.items():
        _plain("files", name)
        entry = _dict(f"files.{name}", entry)
        _need(_matches(SHA256, entry.get("sha256")), f"files.{name}.sha256", "a hash", entry)
    _plain("name", content.get("name"))
    _one_of("precision", content.get("precision"), PRECISIONS)
    for key in ("metadata", "versions"):
        _dict(key, content.get(key))
    for name, value in _dict("parity", content.get("parity", {})).items():
        _need(is_number(value), f"parity.{name}", "a number", value)
    _check_image(_dict("image", content.get("image")))
    for i, latent in enumerate(_list("latents", content.get("latents"))):
        latent = _dict(f"latents[{i}]", latent)
        _one_of(f"latents[{i}].name", latent.get("name"), (f"latent_{i}",))
        _shape(f"latents[{i}].shape", latent.get("shape"))
    _need("condition" in content, "condition", "given, or null", "nothing")
    condition = content["condition"]
    if condition is not None:
        _check_condition(_dict("condition", condition))
    graphs = _dict("graphs", content.get("graphs"))
    missing = _dict("missing", content.get("missing", {}))
    if missing:
        # Of exports for other runtimes the inverse may be, which then stands with its reason.
        told = content.get("kind", KIND) != KIND and set(missing) == {"decode"}
        told = told and isinstance(missing["decode"], str)
        _need(told, "missing", "a reason for decode, in an export for other runtimes", missing)
    expected = ({*GRAPHS} if condition is None else {*GRAPHS, "condition"}) - set(missing)
    _need(set(graphs) == expected, "graphs", ", ".join(sorted(expected)), ", ".join(graphs))
    for name, graph in graphs.items():
        _check_graph(f"graphs.{name}", _dict(f"graphs.{name}", graph), files)


def _check_image(image: dict[str, Any]) -> None:
    shape = _shape("image.shape", image.get("shape"), 3)
    floats = _shape("image.float_shape", image.get("float_shape"), 3)
    _need("preprocess" in image, "image.preprocess", "given, or null", "nothing")
    multiple = image.get("side_multiple", 1)
    _need(_is_integer(multiple, MOST_NUMBERS), "image.side_multiple", "an integer", multiple)
    if image.get("order") is not None:
        order = _dict("image.order", image["order"])
        _one_of("image.order.order", order.get("order"), ORDERS)
        patch = order.get("patch")
        fits = _is_integer(patch, MOST_NUMBERS) and not any(side % patch for side in shape[:2])
        _need(fits, "image.order.patch", f"an integer that divides {shape[:2]}", patch)
        _need(set(order) == {"order", "patch"}, "image.order", "order and patch", list(order))
    made = Preprocess.from_config(image["preprocess"]).float_shape(shape)
    _need(floats == made, "image.float_shape", f"{made}, by shape and preprocess", floats)


def _check_condition(condition: dict[str, Any]) -> None:
    _shape("condition.shape", condition.get("shape"))
    dtype = condition.get("dtype")
    _need(_matches(DTYPE, dtype), "condition.dtype", "a dtype of numbers", dtype)
    _one_of("condition.kind", condition.get("kind", "labels"), ("labels",))
    classes, palette = condition.get("classes"), condition.get("palette")
    if classes is not None:
        _need(_is_integer(classes, 256), "condition.classes", "an integer of 1 to 256", classes)
    if palette is not None:
        colours = _list("condition.palette", palette)
        fits = len(colours) == classes and all(
            isinstance(colour, list)
            and len(colour) == 3
            and all(_is_integer(level, 255, 0) for level in colour)
            for colour in colours
        )
        _need(fits, "condition.palette", f"{classes} colours of 3 levels", palette)


def _check_graph(where: str, graph: dict[str, Any], files: dict[str, Any]) -> None:
    name = graph.get("file")
    _need(isinstance(name, str) and name in files, f"{where}.file", "a name that files has", name)
    for key in ("inputs", "outputs"):
        for i, value in enumerate(_list(f"{where}.{key}", graph.get(key))):
            here = f"{where}.{key}[{i}]"
            value = _dict(here, value)
            known = _matches(VALUE_NAME, value.get("name"))
            _need(known, f"{here}.name", "letters, digits and any of _.:/-", value.get("name"))
            dtype, shape = value.get("dtype"), value.get("shape")
            _need(_matches(DTYPE, dtype), f"{here}.dtype", "a dtype of numbers", dtype)
            batched = isinstance(shape, list) and shape[:1] == ["batch"]
            _need(batched, f"{here}.shape", "a list that begins with batch", shape)
            _shape(f"{here}.shape", list(shape or ())[1:])


def _plain(where: str, name: Any) -> None:
    _need(is_plain_name(name), where, "one plain name, without a path or quotes", name)


def _dict(where: str, value: Any) -> dict[str, Any]:
    _need(isinstance(value, dict), where, "an object", value)
    return dict(value)


def _list(where: str, value: Any) -> list[Any]:
    _need(isinstance(value, list) and bool(value), where, "a list that isn't empty", value)
    return list(value)


def _shape(where: str, value: Any, rank: int | None = None) -> tuple[Any, ...]:
    sides = isinstance(value, list) and all(_is_integer(side, MOST_NUMBERS) for side in value)
    fits = sides and math.prod(value) <= MOST_NUMBERS and rank in (None, len(value))
    _need(fits, where, f"sides of at least 1, at most {MOST_NUMBERS} numbers", value)
    return tuple(value)


def _one_of(where: str, value: Any, allowed: tuple[str, ...]) -> None:
    _need(value in allowed, where, " or ".join(allowed), value)


def _need(good: bool, where: str, expected: str, value: Any) -> None:
    if not good:
        raise ValueError(f"{where} must be {expected}; got {value!r:.80}")


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_integer(value: Any, most: int, least: int = 1) -> bool:
    return is_integer(value) and least <= value <= most
