"""Detectors that entries keep."""

from pathlib import Path
from typing import Any

from attnflow_keras.core.untrusted import one_line, read_json
from zoo.errors import ZooError
from zoo.registry import entry_file, locate, read_metadata

FILE = "detection.json"


def detector(name: str | Path) -> Any:
    """The :class:`attnflow_keras.detection.Detector` that an entry keeps.

    >>> zoo.detector("attnflow-causal-mnist").images
    5000

    Args:
        name: an entry's name, folder, or ``hf://`` address.

    Raises:
        ZooError: no such entry, one that keeps none, or a damaged file.
    """
    from attnflow_keras.detection import Detector

    folder = locate(name)
    if not (folder / FILE).exists():
        raise ZooError(
            f"entry {str(name)!r} has no {FILE}: 'attnflow detect NAME --calibrate DATA' makes "
            "one from images that it was not trained on"
        )
    path = entry_file(folder, FILE, name)
    try:
        content = read_json(path)
        found = Detector.from_json(content)
        if content.get("sha256") != read_metadata(folder, name).get("sha256"):
            raise ValueError("it was made with other weights; calibrate again")
        return found
    except (OSError, ValueError, AttributeError) as error:
        raise ZooError(f"entry {str(name)!r}: can't read {path}: {one_line(error)}") from error
