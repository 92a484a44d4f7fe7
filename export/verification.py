"""Check an export on disk, without TensorFlow."""

import importlib
from pathlib import Path
from typing import Any, NamedTuple

from attnflow_keras.runtime import Session, manifest
from export import fixtures
from export.partial import PartialSession, Run

# Runtimes beside onnxruntime that an export may be for.
RUNNERS = {"openvino": "export.to_openvino", "litert": "export.to_litert"}


class Check(NamedTuple):
    """One check of an export.

    Args:
        name: what was checked.
        ok: False where it is not right.
        detail: the figure, or the reason.
        skipped: it could not run here, so that ``ok`` has no meaning.
    """

    name: str
    ok: bool
    detail: str
    skipped: bool = False

    @property
    def state(self) -> str:
        """In one word: ``"ok"``, ``"skipped"`` or ``"FAILS"``."""
        return "skipped" if self.skipped else "ok" if self.ok else "FAILS"


class SkippedError(Exception):
    """A check that can't be made here; the message says why."""


def verify(folder: str | Path, providers: Any = "cpu") -> list[Check]:
    """Verify an export without its flow.

    Checks the hashes of all files; that each graph passes onnx.checker (skipped without the package
    onnx) and loads; that scores, latents and images agree with the recorded fixtures; and that
    decode(encode(x)) is within half a grey level of x.

    Args:
        folder: a folder written by ``export.onnx``, ``export.openvino`` or ``export.litert``.
        providers: see ``attnflow_keras.runtime.Session``.

    Returns:
        The checks, in order: all files, and if these pass, the rest.

    Raises:
        FileNotFoundError: no such folder.
        ExportError: it has no readable manifest.
        ImportError: the runtime that the export is for is not installed.
        ValueError: a provider that this onnxruntime doesn't have.
    """
    folder = Path(folder)
    content = manifest.read(folder, check_files=False, kinds=(manifest.KIND, *RUNNERS))
    checks = [
        _attempt(f"sha256 of {name}", manifest.check_file, folder, name, content)
        for name in content["files"]
    ]
    if not all(check.ok for check in checks):
        # With other files than recorded, the other checks mean nothing.
        return checks
    kind = content.get("kind", manifest.KIND)
    session: Any
    if kind == manifest.KIND:
        session = Session(folder, providers, check_files=False)
        for name, graph in content["graphs"].items():
            checks.append(_attempt(f"onnx.checker {name}", _check_model, folder / graph["file"]))
            checks.append(_attempt(f"load {name}", session.graph, name))
    else:
        runs: dict[str, Run] = {}
        session = PartialSession(content, runs)
        runner = importlib.import_module(RUNNERS[kind])
        runner.check_runtime()

        def load(name: str) -> None:
            runs[name] = runner.open_graph(folder, name, content)

        checks += [_attempt(f"load {name}", load, name) for name in content["graphs"]]
        for name, reason in content["missing"].items():
            checks.append(Check(f"load {name}", True, f"not in this export: {reason}", True))
    if not all(check.ok for check in checks):
        return checks
    try:
        recorded = fixtures.read(folder, content)
        report = fixtures.compare(session, recorded, "decode" in content["graphs"])
    except Exception as error:
        return [*checks, Check("fixtures", False, str(error))]
    limits = fixtures.LIMITS[content["precision"]]
    for name, value in report.items():
        limit = limits.get(name)
        ok = limit is None or value <= limit
        allowed = "" if limit is None else f" (at most {limit:.3g})"
        checks.append(Check(name, ok, f"{value:.3g}{allowed}"))
    return checks


def _attempt(name: str, function: Any, *arguments: Any) -> Check:
    try:
        detail = function(*arguments)
    except SkippedError as reason:
        return Check(name, True, str(reason), skipped=True)
    except Exception as error:
        return Check(name, False, str(error))
    return Check(name, True, detail if isinstance(detail, str) else "")


def _check_model(path: Path) -> None:
    try:
        import onnx
    except ImportError:
        raise SkippedError("the package onnx is not installed") from None
    onnx.checker.check_model(str(path), full_check=True)
