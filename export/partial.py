"""Exports for runtimes that may not take every graph of a flow."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import replacing_folder
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
from attnflow_keras.runtime.exported import ExportedFlow
from export import fixtures

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]
Progress = Callable[[str], None]

# What scoring needs; sampling, which some runtimes have no loops for, may be missing.
REQUIRED = ("condition", "encode", "log_prob")
# Characters of a converter's message that the manifest keeps.
MOST_TEXT = 500


def partial_export(
    folder: str | Path,
    overwrite: bool,
    names: Iterable[str],
    convert: Callable[[str, Path], Run],
    recorded: Arrays,
    content: dict[str, Any],
    progress: Progress | None = None,
) -> dict[str, float]:
    """Convert graphs, compare them with the recorded outputs of Keras, write a manifest.

    A graph that does not convert is left out, and the manifest's ``missing`` says why, unless it
    is one of ``REQUIRED``.

    Args:
        folder: the folder to write.
        overwrite: replace a folder that exists.
        names: the graphs.
        convert: writes a graph into a folder and returns what runs it; raises ExportError.
        recorded: see ``export.fixtures.record``.
        content: the manifest, with a description of each graph in ``graphs``.
        progress: called with the name of each stage.

    Returns:
        Differences from Keras, see ``export.fixtures.compare``.

    Raises:
        ExportError: a required graph that does not convert, or one that differs from Keras;
            nothing is written.
    """
    say = progress or (lambda stage: None)
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    with replacing_folder(folder, overwrite) as part:
        for name in names:
            say(f"converting {name}")
            try:
                runs[name] = convert(name, part)
            except ExportError as error:
                if name in REQUIRED:
                    raise ExportError(
                        f"{name} does not convert: {error}; nothing was written"
                    ) from error
                missing[name] = str(error)[:MOST_TEXT]
        say("comparing with Keras")
        session = PartialSession(content, runs)
        report = fixtures.compare(session, recorded, decodes="decode" in runs)
        failed = fixtures.failures(report, "float32")
        if failed:
            raise ExportError(f"{'; '.join(failed)}; nothing was written")
        fixtures.save(part, recorded)
        graphs = {name: content["graphs"][name] for name in runs}
        manifest.write(part, {**content, "graphs": graphs, "missing": missing, "parity": report})
    return report


class PartialSession(ExportedFlow):
    """A flow on those graphs of an export that another runtime runs.

    Args:
        content: the manifest, which describes all graphs.
        runs: functions that run them, by name; some may be missing.
    """

    def __init__(self, content: dict[str, Any], runs: dict[str, Run]) -> None:
        super().__init__(content)
        self.runs = runs

    def run(self, name: str, inputs: Arrays) -> Arrays:
        return self.runs[name](inputs)
