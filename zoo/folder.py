"""Entries as folders: load a flow from one, save a flow to one."""

import json
from pathlib import Path
from typing import Any

from attnflow_keras.files import replacing_folder, sha256, write_json
from zoo.errors import ZooError
from zoo.registry import FORMAT, locate, read_json
from zoo.weights_file import pack

WEIGHTS = "model.weights.h5"


def load(name: str | Path, weights: bool = True, dtype: str | None = None) -> Any:
    """A flow from an entry.

    Args:
        name: a registered name, a folder written by :func:`save`, or ``hf://user/repository``.
        weights: load the weights; False builds the untrained model.
        dtype: policy to load under: ``"float32"``, ``"float64"``, ``"mixed_float16"`` or
            ``"mixed_bfloat16"``. None takes the one that the entry's config.json names, and
            float32 where it names none.

    Returns:
        A ``Flow``, not compiled.

    Raises:
        ZooError: an unknown name, a missing, altered or newer file; or an entry without
            weights, with the command that trains it.
        ValueError: ``dtype`` is none of these policies.
        ImportError: TensorFlow is not installed.
    """
    folder = locate(name)
    config = read_json(folder / "config.json", name)
    metadata = read_json(folder / "metadata.json", name)
    path = folder / WEIGHTS
    if weights and not path.exists():
        command = metadata.get("training", {}).get("command")
        trains = f"; train it with: {command}" if command else ""
        raise ZooError(
            f"entry {str(name)!r} has no weights{trains}. zoo.load({str(name)!r}, weights=False) "
            "builds the untrained model"
        )
    if weights:
        _check_hash(path, metadata, name)
    flow = _build(config, dtype, name)
    # As text, because Keras would take a dict for something to track.
    kept = ("task", "dataset", "dataset_license", "license")
    origin = {key: metadata[key] for key in kept if key in metadata}
    flow.origin = json.dumps({**origin, "derived_from": metadata.get("name", folder.name)})
    if weights:
        try:
            flow.load_weights(path)
        except Exception as error:
            raise ZooError(
                f"entry {str(name)!r}: {path} does not fit its config.json: {error}"
            ) from error
    return flow


FURTHER = "Trained further with fit, on data that are not known here."


def save(
    flow: Any,
    folder: str | Path,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
    extra: dict[str, str] | None = None,
) -> Path:
    """Write a flow as an entry that :func:`load` reads.

    The folder is complete or not there: it is written beside and renamed. Weights are always
    stored as float32, and the flow's precision is not kept: :func:`load` is told it anew.

    Args:
        flow: the flow; its optimizer is not saved.
        folder: the folder to write.
        metadata: task, data set, training and metrics, see CONTRIBUTING.md; sizes and the
            weights' sha256 are added. Without it, a flow that came from an entry keeps that
            entry's task, data set and licences, and says so under ``derived_from``; a flow that
            ``fit`` has changed since says that too.
        overwrite: replace a folder that exists.
        extra: further text files, name -> content.

    Returns:
        The folder.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False, or it is a file.
        ZooError: the flow's weights are not finite.
        ValueError: an argument of the wrong kind.
    """
    import numpy as np

    from zoo.card import render

    folder = _check_arguments(flow, folder, metadata, overwrite, extra)
    for variable in flow.weights:
        if not np.isfinite(np.asarray(variable)).all():
            raise ZooError(f"the flow is not saved: its weight {variable.path} holds NaN or Inf")
    if metadata is None:
        metadata = json.loads(getattr(flow, "origin", "{}"))
        optimizer = getattr(flow, "optimizer", None)
        if metadata and optimizer is not None and int(np.asarray(optimizer.iterations)) > 0:
            metadata["training"] = {"note": FURTHER}
    config = {"format": FORMAT, "class": type(flow).__name__, "config": _portable(flow)}
    with replacing_folder(folder, overwrite) as part:
        # An uncompiled copy: a compiled model would write its optimizer too.
        copy = _build(config, None, folder)
        copy.set_weights(flow.get_weights())
        copy.save_weights(part / WEIGHTS)
        pack(part / WEIGHTS)
        full = {
            "format": FORMAT,
            "name": folder.name,
            **(metadata or {}),
            "parameters": int(sum(np.prod(v.shape) for v in flow.trainable_variables)),
            "bytes": (part / WEIGHTS).stat().st_size,
            "sha256": sha256(part / WEIGHTS),
        }
        write_json(part / "config.json", config)
        write_json(part / "metadata.json", full)
        (part / "card.md").write_text(render(full, config), encoding="utf-8")
        for name, text in (extra or {}).items():
            (part / name).write_text(text, encoding="utf-8")
    return folder


def update_metadata(folder: Path, changes: dict[str, Any]) -> None:
    """Set keys of an entry's metadata, and write its card anew."""
    from zoo.card import render

    metadata = {**read_json(folder / "metadata.json", folder), **changes}
    card = render(metadata, read_json(folder / "config.json", folder))
    write_json(folder / ".metadata.json.part", metadata)
    (folder / ".card.md.part").write_text(card, encoding="utf-8")
    for name in ("metadata.json", "card.md"):
        (folder / f".{name}.part").replace(folder / name)


def _check_arguments(flow: Any, folder: Any, metadata: Any, overwrite: Any, extra: Any) -> Path:
    from attnflow_keras.models import Flow

    def wrong(name: str, expected: str, value: Any) -> ValueError:
        return ValueError(f"{name} must be {expected}; got a {type(value).__name__}")

    if not isinstance(flow, Flow):
        raise wrong("flow", "a Flow, such as MARFlow", flow)
    if not isinstance(folder, str | Path):
        raise wrong("folder", "a path", folder)
    if not isinstance(metadata, dict | None):
        raise wrong("metadata", "a dict or None", metadata)
    try:
        json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must hold what JSON can; got one where {error}") from error
    if not isinstance(overwrite, bool):
        raise wrong("overwrite", "True or False", overwrite)
    texts = extra is None or (
        isinstance(extra, dict) and all(isinstance(t, str) for pair in extra.items() for t in pair)
    )
    if not texts:
        raise ValueError(f"extra must be a dict of file names and their texts; got {extra!r:.60}")
    return Path(folder)


def _portable(flow: Any) -> dict[str, Any]:
    """Constructor arguments without the policy, which is chosen when the entry is loaded."""
    config = flow.get_config()
    for key in ("dtype", "trainable", "autocast"):
        config.pop(key, None)
    return config


def _build(config: dict[str, Any], dtype: str | None, name: str | Path) -> Any:
    try:
        from attnflow_keras import models
    except ImportError as error:
        raise ImportError(
            f"loading an entry needs TensorFlow ({error}): pip install 'attnflow-keras[tf]'"
        ) from error
    from attnflow_keras.layers.flow_layer import check_policy

    if dtype is not None:
        check_policy(dtype)
    # Only models of this package are ever built from a configuration.
    kind = config.get("class")
    if kind not in models.__all__ or kind == "Flow":
        known = ", ".join(name for name in models.__all__ if name != "Flow")
        raise ZooError(f"entry {str(name)!r}: class must be one of {known}; got {kind!r}")
    try:
        arguments = config["config"]
        policy = arguments.get("dtype", "float32") if dtype is None else dtype
        return getattr(models, kind)(**{**arguments, "dtype": policy})
    except (KeyError, TypeError, ValueError) as error:
        raise ZooError(f"entry {str(name)!r}: config.json does not fit {kind}: {error}") from error


def _check_hash(path: Path, metadata: dict[str, Any], name: str | Path) -> None:
    found = sha256(path)
    expected = metadata.get("sha256")
    if found != expected:
        raise ZooError(
            f"entry {str(name)!r}: {path} is damaged or altered: sha256 is {found}, metadata.json "
            f"says {expected}; fetch the entry again"
        )
