"""Whether decode(encode(x)) reproduces x; NumPy only."""

from typing import Any

import numpy as np

# A round trip is exact if every element returns to its own grey level.
EXACT = 0.5


def level_errors(x: Any, back: Any) -> np.ndarray:
    """How far each image is from what decode made of its latents.

    Args:
        x: float images ``(n, h, w, c)``.
        back: ``decode(encode(x))``, of the same shape.

    Returns:
        ``(n,)``, the maximum difference in grey levels; Inf where it is not finite.
    """
    difference = np.abs(np.asarray(back, "float64") - np.asarray(x, "float64"))
    worst = 256.0 * difference.reshape(len(difference), -1).max(axis=1)
    return np.where(np.isfinite(worst), worst, np.inf)


def require_exact(errors: np.ndarray, name: str = "x") -> None:
    """Raise ValueError unless every image's round trip is within half a grey level.

    Args:
        errors: those of :func:`level_errors`.
        name: the images' name, for the error.
    """
    wrong = np.flatnonzero(~(errors < EXACT))
    if wrong.size:
        worst = wrong[np.argmax(errors[wrong])]
        raise ValueError(
            f"decode(encode({name})) must reproduce {name} within half a grey level; it does not "
            f"for {wrong.size} of {len(errors)}, at worst for {name}[{worst}], which differs by "
            f"{errors[worst]:.3g} grey levels. Such images are outside the model's domain: their "
            "latents and scores are unreliable in this precision"
        )
