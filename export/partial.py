"""Exports for runtimes that may not take every graph of a flow."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import replacing_folder
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
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
        session = PartialSession.of(content)
        session.runs = runs
        report = fixtures.compare(session, recorded, decodes="decode" in runs)
        failed = fixtures.failures(report, "float32")
        if failed:
            raise ExportError(f"{'; '.join(failed)}; nothing was written")
        fixtures.save(part, recorded)
        graphs = {name: content["graphs"][name] for name in runs}
        manifest.write(part, {**content, "graphs": graphs, "missing": missing, "parity": report})
    return report


class PartialSession:
    """The functions of a flow over the graphs that there are.

    Args:
        runs: what runs each graph, by name.
        shape: of an image.
        float_shape: of a float image.
    """

    def __init__(self, runs: dict[str, Run], shape: list[int], float_shape: list[int]) -> None:
        self.runs = runs
        self.num_dims = int(np.prod(shape))
        self.float_dims = int(np.prod(float_shape))

    @classmethod
    def of(cls, content: dict[str, Any]) -> "PartialSession":
        """Without graphs, for the images of a manifest."""
        return cls({}, content["image"]["shape"], content["image"]["float_shape"])

    def add(self, name: str, open_graph: Any, folder: Path, content: dict[str, Any]) -> None:
        """Open a graph of a folder."""
        self.runs[name] = open_graph(folder, name, content)

    def encode(self, x: np.ndarray, condition: Any = None) -> tuple[tuple[np.ndarray, ...], Any]:
        """Latents and log-determinants."""
        found = self._run("encode", {"image": x}, condition)
        log_det = found.pop("log_det")
        return tuple(found[f"latent_{i}"] for i in range(len(found))), log_det

    def log_prob(self, x: np.ndarray, condition: Any = None) -> np.ndarray:
        """Log-densities in nats."""
        return self._run("log_prob", {"image": x}, condition)["log_prob"]

    def decode(self, latents: Any, condition: Any = None) -> np.ndarray:
        """Float images."""
        given = {f"latent_{i}": z for i, z in enumerate(latents)}
        return self._run("decode", given, condition)["image"]

    def _run(self, name: str, given: Arrays, condition: Any) -> Arrays:
        if condition is not None:
            given = {**given, **self.runs["condition"]({"condition": condition})}
        return self.runs[name](given)
