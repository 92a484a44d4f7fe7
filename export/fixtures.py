"""Recorded inputs of an export with Keras' outputs, and the differences of a session from them.

NumPy alone, so that ``attnflow verify`` needs no TensorFlow.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError

NAME = "fixtures.npz"
COUNT = 4
MOST_BYTES = 500_000_000
HALF_LEVEL = 0.5 / 256

# What an export may differ from Keras, relative to max(1, |value|): log_prob in bits per
# dimension; latents and images for this share of the elements.
SHARE = 0.999
# Trained flows amplify the rounding of convolutions, whose order of sums differs: latents and
# images of a sound graph differ by some 1e-4, of a wrong one by far more than this.
LIMITS = {
    "float32": {"log_prob": 2e-5, "latents": 1e-3, "image": 1e-3, "wrong_levels": 0},
    # Half precision moves what networks say, and with it latents and samples; the score is
    # what must not change.
    "float16": {"log_prob": 1e-2},
}


def record(
    flow: Any, images: np.ndarray, condition: Any = None, count: int = COUNT
) -> dict[str, np.ndarray]:
    """Images, latents that no image gave, and Keras' outputs for both."""
    from attnflow_keras.core import noise

    images = images[:count]
    if condition is not None:
        condition = condition[:count]
    x = flow.dequantize(images)
    latents, log_det = flow.encode(x, condition)
    rng = noise.generator(0, noise.LATENTS)
    drawn = noise.normal_latents(rng, len(x), list(flow.latent_shapes))
    arrays = {
        "images": images,
        "image": x,
        "log_det": np.asarray(log_det),
        "log_prob": np.asarray(flow.log_prob(x, condition)),
        "decoded": np.asarray(flow.decode(drawn, condition)),
        **{f"latent_{i}": np.asarray(z) for i, z in enumerate(latents)},
        **{f"drawn_{i}": z for i, z in enumerate(drawn)},
    }
    if condition is not None:
        arrays["condition"] = np.asarray(condition)
    return arrays


def save(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the fixtures into an export's folder."""
    np.savez(folder / NAME, allow_pickle=False, **arrays)


def load(folder: Path) -> dict[str, np.ndarray]:
    """Read the fixtures of an export.

    Raises:
        ValueError: arrays of more than ``MOST_BYTES``, which a small archive may declare.
    """
    with zipfile.ZipFile(folder / NAME) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_BYTES:
        raise ValueError(f"{folder / NAME} holds {size:,} bytes, more than {MOST_BYTES:,}")
    with np.load(folder / NAME, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read(folder: Path, content: dict[str, Any]) -> dict[str, np.ndarray]:
    """The fixtures of an export, compared with the hash in its manifest.

    Raises:
        ExportError: they are missing, altered or can't be read.
    """
    manifest.check_file(folder, NAME, content)
    try:
        return load(folder)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(f"can't read {folder / NAME}: {error}") from error


def compare(
    session: Any, fixtures: dict[str, np.ndarray], decodes: bool = True
) -> dict[str, float]:
    """Differences between a session and Keras on the fixtures.

    Args:
        session: has encode, decode and log_prob, as ``attnflow_keras.runtime.Session``.
        fixtures: see :func:`record`.
        decodes: whether it has decode; without, the figures of decode are left out.

    Returns:
        Relative to max(1, |value|): ``log_prob`` in bits per dimension at 256 levels, and
        ``latents`` and ``image`` (of drawn latents) for 99.9 % of the elements. Absolute:
        ``round_trip``, the error of decode(encode(x)); ``wrong_levels``, how many elements it
        moves by half a grey level or more. If there are any, ``diverged``: how many images of
        drawn latents are others than Keras'. A flow that goes from pixel to pixel and sees grey
        levels takes another way where rounding moves a value across the edge of a level; for
        these images ``image`` holds how far encode is from giving back their latents.
    """
    count = sum(name.startswith("latent_") for name in fixtures)
    condition = fixtures.get("condition")
    latents, _ = session.encode(fixtures["image"], condition)
    drawn = tuple(fixtures[f"drawn_{i}"] for i in range(count))
    nats = session.num_dims * np.log(2.0)
    bits = (8.0 * session.float_dims * np.log(2.0) - fixtures["log_prob"]) / nats
    difference = (session.log_prob(fixtures["image"], condition) - fixtures["log_prob"]) / nats
    report = {
        # An image that the flow finds absurd has many bits, and as many more to round.
        "log_prob": float((np.abs(difference) / np.maximum(1.0, np.abs(bits))).max()),
        "latents": max(_relative(z, fixtures[f"latent_{i}"]) for i, z in enumerate(latents)),
    }
    if not decodes:
        return report
    error = np.abs(session.decode(latents, condition) - fixtures["image"])
    # Not below rather than above: NaN is wrong too. Quantized levels are not compared, because
    # noise near 0 or 1 lies so close to the next level that any rounding can reach it.
    wrong = ~(error < HALF_LEVEL)
    return {
        **report,
        **_of_drawn(session, drawn, condition, fixtures["decoded"]),
        "round_trip": float(error.max()),
        "wrong_levels": int(wrong.sum()),
    }


def _of_drawn(
    session: Any, drawn: tuple[np.ndarray, ...], condition: Any, expected: np.ndarray
) -> dict[str, float]:
    """How far images of drawn latents are from Keras', or from being images of these latents."""
    n = len(expected)
    found = session.decode(drawn, condition)
    error = _errors(found, expected).reshape(n, -1)
    if not np.isfinite(error).all():
        return {"image": float("nan")}
    other = (np.abs(found - expected) >= HALF_LEVEL).reshape(n, -1).any(axis=1)
    if not other.any():
        return {"image": float(np.quantile(error, SHARE))}
    again, _ = session.encode(found, condition)
    back = [_errors(a, z).reshape(n, -1) for a, z in zip(again, drawn, strict=True)]
    error[other] = np.concatenate(back, axis=1)[other]
    return {"image": float(np.quantile(error, SHARE)), "diverged": int(other.sum())}


def failures(report: dict[str, float], precision: str) -> list[str]:
    """Differences beyond the limits, as text; empty if there are none."""
    return [
        f"{name} differs from Keras by {report[name]:.3g}, more than {limit:.3g}"
        if name != "wrong_levels"
        else f"decode(encode(x)) changes {report[name]} grey levels"
        for name, limit in LIMITS[precision].items()
        if name in report and not report[name] <= limit
    ]


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    if not np.isfinite(a).all():
        return float("nan")
    return float(np.quantile(_errors(a, b), SHARE))


def _errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(a.astype("float64") - b) / np.maximum(1.0, np.abs(b)))
