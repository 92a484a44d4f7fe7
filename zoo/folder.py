"""Entries as folders: load a flow from one, save a flow to one."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_flag
from attnflow_keras.core.extras import backend_advice
from attnflow_keras.core.files import replacing_folder, sha256, write_file, write_json
from attnflow_keras.core.untrusted import is_plain_name, one_line, plain_name
from attnflow_keras.core.weights_file import weights_bytes
from zoo.errors import ZooError
from zoo.models import model_classes
from zoo.origin import from_origin, set_origin
from zoo.registry import (
    FORMAT,
    PRESETS,
    at_revision,
    entry_file,
    locate,
    read_config,
    read_metadata,
)
from zoo.weights_file import (
    FILE_BYTES,
    MOST,
    TooLargeError,
    check_shapes,
    declared_shapes,
    limited_weights,
    packed,
)

WEIGHTS = "model.weights.h5"


def load(
    name: str | Path,
    weights: bool = True,
    dtype: str | None = None,
    revision: str | None = None,
) -> Any:
    """Load a flow from an entry.

    Entries may be untrusted: none of their code runs, the configuration must be within the bounds
    of ``zoo.schema``, and the shapes in the weights file must match the model before any large
    array is allocated. Weights must be finite.

    Args:
        name: a registered name, a folder written by :func:`save`, or ``hf://user/repository``.
            Append ``@sha256:`` and the first 8 or more digits of the weights' SHA-256 to pin a
            version; other weights raise an error.
        weights: load the weights; False builds the untrained model.
        dtype: dtype policy: ``"float32"``, ``"float64"``, ``"mixed_float16"`` or
            ``"mixed_bfloat16"``. None for that in the entry's config.json, or else float32.
        revision: branch, tag or commit of an ``hf://`` address, as after an ``@`` in it. A commit
            in the Hub's cache is loaded without network access.

    Returns:
        A ``Flow``, not compiled, with the same frozen weights as when it was saved.

    Raises:
        ZooError: an unknown name; a file that is missing, altered, newer or invalid; or an entry
            without weights (the message has the command that trains it).
        ValueError: an unknown ``dtype``.
        ImportError: Keras' backend is not installed.
    """
    name = name if revision is None else at_revision(name, revision)
    folder = locate(name)
    config = read_config(folder, name)
    metadata = read_metadata(folder, name)
    path = folder / WEIGHTS
    if weights and not path.exists():
        raise ZooError(_no_weights(str(name), folder, metadata))
    declared = _declared(folder, metadata, config, name) if weights else None
    limits = MOST if declared is None else (len(declared), sum(map(math.prod, declared)))
    flow = _build(config, dtype, name, limits, replaced=declared is not None)
    from attnflow_keras.flow.frozen import freeze  # needs Keras, as _build has found

    if declared is not None:
        try:
            check_shapes(declared, flow)
            flow.load_weights(path)
        except Exception as error:
            raise ZooError(
                f"entry {str(name)!r}: {path} does not fit its config.json: {one_line(error)}"
            ) from error
        damaged = _not_finite(flow)
        if damaged is not None:
            raise ZooError(f"entry {str(name)!r}: {path}: its weight {damaged} holds NaN or Inf")
    try:
        freeze(flow, config.get("frozen", ()))
    except ValueError as error:
        raise ZooError(f"entry {str(name)!r}: config.json: {error}") from error
    set_origin(flow, metadata, trained=declared is not None)
    return flow


def save(
    flow: Any,
    folder: str | Path,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
    extra: dict[str, str] | None = None,
) -> Path:
    """Write a flow as an entry that :func:`load` reads.

    The folder is complete or absent: it is written to a temporary name and renamed. Weights are
    always stored as float32; the flow's precision is not saved, but an argument of :func:`load`.

    Args:
        flow: the flow; its optimizer is not saved.
        folder: the folder to write.
        metadata: task, data set, training and metrics, see CONTRIBUTING.md; sizes and the
            weights' SHA-256 are added. By default, a flow that was loaded from an entry keeps that
            entry's task and is recorded under ``derived_from``. If its weights are unchanged, it
            also keeps the data set and licences; otherwise they are left out.
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
    damaged = _not_finite(flow)
    if damaged is not None:
        raise ZooError(f"the flow is not saved: its weight {damaged} holds NaN or Inf")
    if metadata is None:
        metadata = from_origin(flow)
    arguments, frozen = _portable(flow)
    config = {"format": FORMAT, "class": type(flow).__name__, "config": arguments}
    if frozen:
        config["frozen"] = frozen
    with replacing_folder(folder, overwrite) as part:
        # An uncompiled copy: a compiled model would write its optimizer too.
        copy = _build(config, None, folder, replaced=True)
        parameters = int(sum(np.prod(v.shape) for v in copy.trainable_variables))
        copy.set_weights(flow.get_weights())
        write_file(part / WEIGHTS, packed(weights_bytes(copy)))
        full = {
            "format": FORMAT,
            "name": plain_name(folder.resolve().name),
            **(metadata or {}),
            "parameters": parameters,
            "bytes": (part / WEIGHTS).stat().st_size,
            "sha256": sha256(part / WEIGHTS),
        }
        write_json(part / "config.json", config)
        write_json(part / "metadata.json", full)
        write_file(part / "card.md", render(full, config, extra or (), _is_registered(folder)))
        for name, text in (extra or {}).items():
            write_file(part / name, text)
    return folder


def _no_weights(name: str, folder: Path, metadata: dict[str, Any]) -> str:
    command = metadata.get("training", {}).get("command")
    trains = f"; train it with: {command}" if command else ""
    if "sha256" in metadata and _is_registered(folder):
        trains = f" here: the wheel leaves them out to stay small, the repository has them{trains}"
    build = f"zoo.load({name!r}, weights=False) builds the untrained model"
    return f"entry {name!r} has no weights{trains}. {build}"


def update_metadata(folder: Path, changes: dict[str, Any]) -> None:
    """Set keys of an entry's metadata, and rewrite its card."""
    from zoo.card import render

    metadata = {**read_metadata(folder, folder), **changes}
    files = [path.name for path in folder.iterdir()]
    card = render(metadata, read_config(folder, folder), files, _is_registered(folder))
    write_json(folder / "metadata.json", metadata)
    write_file(folder / "card.md", card)


def _is_registered(folder: Path) -> bool:
    """Whether ``load`` knows the folder by its name."""
    return folder.resolve().parent == PRESETS.resolve()


def _check_arguments(flow: Any, folder: Any, metadata: Any, overwrite: Any, extra: Any) -> Path:
    from attnflow_keras.models import Flow
    from zoo import schema

    def wrong(name: str, expected: str, value: Any) -> ValueError:
        return ValueError(f"{name} must be {expected}; got a {type(value).__name__}")

    if not isinstance(flow, Flow):
        raise wrong("flow", "a Flow, such as MARFlow", flow)
    kind = type(flow)
    if model_classes().get(kind.__name__) is not kind:
        raise ValueError(
            f"flow must be of a registered class; {kind.__module__}.{kind.__qualname__} is not "
            f"registered: call zoo.register_model({kind.__name__}) first"
        )
    if not isinstance(folder, str | Path):
        raise wrong("folder", "a path", folder)
    if not isinstance(metadata, dict | None):
        raise wrong("metadata", "a dict or None", metadata)
    try:
        json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must be serializable as JSON: {error}") from error
    try:
        schema.check({"format": FORMAT, **(metadata or {})}, schema.Metadata)
    except ValueError as error:
        raise ValueError(f"metadata: {error}") from error
    check_flag("overwrite", overwrite)
    texts = extra is None or (
        isinstance(extra, dict) and all(isinstance(t, str) for pair in extra.items() for t in pair)
    )
    if not texts:
        raise ValueError(f"extra must be a dict of file names and their texts; got {extra!r:.60}")
    for name in extra or {}:
        if not is_plain_name(name):
            raise ValueError(f"extra must name files inside the folder; got {name!r:.60}")
    return Path(folder)


def _portable(flow: Any) -> tuple[dict[str, Any], list[list[int]]]:
    """Constructor arguments, and which weights are frozen.

    Without the policy, which is chosen when the entry is loaded.
    """
    config = flow.get_config()
    for key in ("dtype", "trainable", "autocast"):
        config.pop(key, None)
    return config, config.pop("frozen", [])


def _not_finite(flow: Any) -> str | None:
    """Path of the first weight with NaN or Inf, or None."""
    import numpy as np

    paths = (v.path for v in flow.weights if not np.isfinite(np.asarray(v)).all())
    return next(paths, None)


Shapes = list[tuple[int, ...]]


def _declared(
    folder: Path, metadata: dict[str, Any], config: dict[str, Any], name: str | Path
) -> Shapes:
    """Shapes of the arrays of an entry's weights file, which is the one that metadata names.

    Nothing is built or read yet: a small file may declare what the machine can't hold.
    """
    from zoo.schema import size

    path = entry_file(folder, WEIGHTS, name)
    _check_hash(path, metadata, name)
    try:
        shapes = declared_shapes(path)
        needed = max(size(config["config"]))
        if needed > len(shapes):
            raise ValueError(f"it has {len(shapes)} arrays for {needed} steps or blocks")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ZooError(
            f"entry {str(name)!r}: {path} does not fit its config.json: {one_line(error)}"
        ) from error
    return shapes


def _build(
    config: dict[str, Any],
    dtype: str | None,
    name: str | Path,
    limits: tuple[int, int] | None = None,
    replaced: bool = False,
) -> Any:
    """The flow of a configuration; at most so many weights, and numbers in them."""
    try:
        import attnflow_keras.models  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"loading an entry failed ({error}); it needs {backend_advice()}"
        ) from error
    from attnflow_keras.backend.new_weights import undrawn_weights
    from attnflow_keras.layers.flow_layer import check_policy

    if dtype is not None:
        check_policy(dtype)
    # Only registered classes are ever built from a configuration.
    kind, known = config.get("class"), model_classes()
    if kind not in known:
        raise ZooError(
            f"entry {str(name)!r}: class must be one of {', '.join(known)}, or your own by "
            f"zoo.register_model; got {kind!r:.60}"
        )
    try:
        arguments = config["config"]
        policy = arguments.get("dtype", "float32") if dtype is None else dtype
        with (
            limited_weights(*limits) if limits else contextlib.nullcontext(),
            undrawn_weights() if replaced else contextlib.nullcontext(),
        ):
            flow = known[kind]
            return flow(**{**flow.absent, **arguments, "dtype": policy})
    except TooLargeError as error:
        whose = f"{WEIGHTS} does not fit its config.json" if limits != MOST else "config.json"
        raise ZooError(f"entry {str(name)!r}: {whose}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ZooError(
            f"entry {str(name)!r}: config.json does not fit {kind}: {one_line(error)}"
        ) from error


def check_whole(folder: Path, name: str | Path) -> None:
    """Raise ZooError unless a folder is an entry with the weights that its metadata name."""
    read_config(folder, name)
    _check_hash(entry_file(folder, WEIGHTS, name), read_metadata(folder, name), name)


def _check_hash(path: Path, metadata: dict[str, Any], name: str | Path) -> None:
    size = path.stat().st_size
    if size > FILE_BYTES:
        raise ZooError(f"entry {str(name)!r}: {path} has {size:,} bytes, more than {FILE_BYTES:,}")
    found = sha256(path)
    expected = metadata.get("sha256")
    if found != expected:
        raise ZooError(
            f"entry {str(name)!r}: {path} is damaged or altered: sha256 is {found}, metadata.json "
            f"says {expected}; fetch the entry again"
        )
