"""Origin of a flow, so that a saved flow states only what is known."""

import hashlib
from typing import Any

import numpy as np

FURTHER = "Trained further with fit, or changed otherwise, on data that are not known here."

# True of the weights as they were loaded only.
OF_WEIGHTS = ("dataset", "dataset_license", "license")


def set_origin(flow: Any, metadata: dict[str, Any], trained: bool) -> None:
    """Note which entry a flow was loaded from.

    Args:
        flow: the flow.
        metadata: that of the entry.
        trained: the entry's weights were loaded, not its configuration alone.
    """
    kept = ("task", *OF_WEIGHTS) if trained else ("task",)
    origin = {key: metadata[key] for key in kept if metadata.get(key)}
    if trained:
        origin |= {"derived_from": metadata["name"], "weights": _fingerprint(flow)}
    flow.note_origin(origin)


def from_origin(flow: Any) -> dict[str, Any]:
    """Metadata of a flow that is saved without any given.

    The data set and the licences of an entry belong to the weights that it has: where these have
    changed since, nothing is known of them but what the flow is derived from.
    """
    origin = flow.origin
    before = origin.pop("weights", None)
    if before in (None, _fingerprint(flow)):
        return origin
    known = {key: origin.pop(key) for key in OF_WEIGHTS if key in origin}
    words = (
        f"data set {known.get('dataset', 'not stated')}",
        f"licence of the data: {known.get('dataset_license', 'not stated')}",
        f"licence of the weights: {known.get('license', 'not stated')}",
    )
    note = f"{FURTHER} Of {origin['derived_from']}, from which it started: {'; '.join(words)}."
    return {**origin, "training": {"note": note}}


def _fingerprint(flow: Any) -> str:
    """Hash of the weights as they are stored, in float32."""
    digest = hashlib.blake2b(digest_size=16)
    for variable in flow.weights:
        digest.update(np.ascontiguousarray(np.asarray(variable), dtype="float32").tobytes())
    return digest.hexdigest()
