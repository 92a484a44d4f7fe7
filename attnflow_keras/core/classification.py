"""Classification by the likelihoods of a class-conditional model."""

from typing import Any

import numpy as np


def class_probabilities(
    model: Any, classes: int, images: Any, prior: Any, seed: int | None, batch_size: int
) -> np.ndarray:
    """See ``ImageModel.class_probabilities``."""
    log_prior = np.log(_prior(prior, classes))
    scores = np.stack(
        [
            np.asarray(model.log_prob(images, np.array([label]), seed, batch_size), "float64")
            for label in range(classes)
        ],
        axis=1,
    )
    scores += log_prior
    scores -= scores.max(axis=1, keepdims=True)
    odds = np.exp(scores)
    return odds / odds.sum(axis=1, keepdims=True)


def _prior(prior: Any, classes: int) -> np.ndarray:
    """Checked probabilities of the classes; equal ones for None."""
    if prior is None:
        return np.full(classes, 1.0 / classes)
    found = np.asarray(prior, "float64")
    if found.shape != (classes,) or not (found > 0).all() or not np.isclose(found.sum(), 1):
        raise ValueError(
            f"prior must be {classes} positive probabilities that sum to 1; got {prior!r}"
        )
    return found
