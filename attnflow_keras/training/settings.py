"""``recipe.json``: identifies a run, so that no other run resumes from its checkpoint."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras import backend
from attnflow_keras.core.files import write_file
from attnflow_keras.core.renamed import with_current_names
from attnflow_keras.core.untrusted import read_json
from attnflow_keras.models import Flow
from attnflow_keras.training.order import Source
from attnflow_keras.training.recipe import Recipe

SETTINGS = "recipe.json"

MISSING = object()

# Images whose content is looked at: all of a folder of images, a sample of a large data set.
HASHED = 4096


def same_run(path: Path, flow: Flow, recipe: Recipe, images: Any) -> None:
    """Write the settings, or check that they equal those of an earlier run.

    Settings missing in a file of an older version have their defaults; images missing there are not
    compared.

    Raises:
        ValueError: different settings or images, or an unreadable file.
    """
    settings = {
        "recipe": _plain(recipe.to_dict()),
        "model": _model_settings(flow),
        "images": fingerprint(images),
    }
    if path.exists():
        before = _read(path)
        _check_settings(path.parent, settings, before, type(flow))
        _check_images(path.parent, settings["images"], before.get("images"))
    if backend.devices.writes():
        write_file(path, json.dumps(settings, indent=2, sort_keys=True))


def fingerprint(images: Any) -> dict[str, Any]:
    """Number, shape and hash of training images; of many images only some are hashed."""
    if isinstance(images, Source):
        return {"count": len(images), **images.fingerprint()}
    some = images[:: -(-len(images) // HASHED)]
    return {
        "count": len(images),
        "shape": list(images.shape[1:]),
        "sha256": hashlib.sha256(np.ascontiguousarray(some).data).hexdigest(),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path, raw=True)
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
        for part in ("recipe", "model", "images"):
            if not isinstance(content.get(part, {}), dict):
                raise ValueError(f"its {part!r} is no JSON object")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"can't read {path}, the settings of a run: {error}. Give another folder, or delete "
            "this one"
        ) from error
    return content


def _check_settings(
    folder: Path, settings: dict[str, Any], before: dict[str, Any], kind: type[Flow]
) -> None:
    recipe_before = {**_plain(Recipe.defaults()), **with_current_names(before.get("recipe", {}))}
    model_before = before.get("model", {})
    if settings["model"].keys() - model_before.keys():
        model_before = _completed(model_before, kind)
    changed = [
        f"{part}.{key}"
        for part, then in (("recipe", recipe_before), ("model", model_before))
        for key in sorted(settings[part].keys() | then.keys())
        if settings[part].get(key, MISSING) != then.get(key, MISSING)
    ]
    if not changed:
        return
    message = (
        f"{folder} holds a run with other settings ({', '.join(changed)}); give another folder, "
        "or delete this one"
    )
    if "recipe.steps" in changed:
        entry = folder / "entry" if (folder / "entry").is_dir() else "ENTRY"
        message += (
            f". A run can't change its length ({recipe_before.get('steps')} steps), which its "
            "learning rate follows; to train its flow further, start from it in a new folder: "
            f"attnflow train {entry} --fine-tune --steps N --out NEW"
        )
    raise ValueError(message)


def _check_images(folder: Path, now: dict[str, Any], before: dict[str, Any] | None) -> None:
    if before is None or before == now:
        return
    there, here = (_in_words(images) for images in (before, now))
    raise ValueError(
        f"{folder} holds a run on other training images: "
        + (f"{there} before, {here} now" if there != here else f"{here}, of another content")
        + ". Give the same images, or another folder"
    )


def _in_words(images: dict[str, Any]) -> str:
    return f"{images.get('count')} of shape {tuple(images.get('shape', ()))}"


def _model_settings(flow: Flow) -> dict[str, Any]:
    return {key: value for key, value in _plain(flow.get_config()).items() if key != "name"}


def _completed(settings: dict[str, Any], kind: type[Flow]) -> dict[str, Any]:
    """Settings of a model that lack some, with the defaults of this version."""
    try:
        return _model_settings(kind.from_config(dict(settings)))
    except (TypeError, ValueError):
        return settings


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """As JSON reads it back, so that tuples and lists compare equal."""
    return json.loads(json.dumps(settings, default=str))
