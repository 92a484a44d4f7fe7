"""Out-of-distribution scores and their thresholds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_choice, check_number, is_integer, is_number
from attnflow_keras.detection.statistics import BATCH_SIZE, NAMES, statistics_of

FORMAT = 1
# Quantiles that stand for the values of a statistic, and those that thresholds come from.
POINTS = 256
RATES = (0.1, 0.05, 0.02, 0.01)
LEAST = 40  # images to calibrate on
SCORES = ("likelihood", "typicality", "complexity", "dose")


@dataclass(frozen=True)
class Detector:
    """Detects images that are out of a flow's distribution, by four scores, higher for outliers.

    - ``likelihood``: bits per dimension. Simple images are probable under any flow, so it fails for
      images simpler than the training data (Nalisnick et al., arXiv:1810.09136).
    - ``typicality``: distance of the bits per dimension from their mean, to both sides
      (Nalisnick et al., arXiv:1906.02994, for one image).
    - ``complexity``: bits per dimension minus those of a PNG file (Serrà et al.,
      arXiv:1909.11480).
    - ``dose``: minus the sum of the log-densities of four statistics of the flow, each by a
      kernel estimate (density of states, Morningstar et al., arXiv:2006.09273).

    >>> from attnflow_keras import detection
    >>> flow = models.CausalFlow((8, 8, 1), patch=4, width=8, layers=1, group=2)
    >>> digits = data.mnist_sample()[:64, 2:26:3, 2:26:3]
    >>> detector = detection.Detector.calibrate(flow, digits)
    >>> noise = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), "uint8")
    >>> detector.flags(detector.scores(flow, noise), "dose")
    array([ True,  True,  True,  True])

    Args:
        points: quantiles of each statistic on images to calibrate on, ``(256,)`` each.
        thresholds: of each score, by the part of the distribution's own images above it.
        images: number of images that were calibrated on.
    """

    points: Mapping[str, np.ndarray]
    thresholds: Mapping[str, Mapping[float, float]]
    images: int

    @classmethod
    def calibrate(
        cls,
        flow: Any,
        images: np.ndarray,
        condition: Any = None,
        batch_size: int = BATCH_SIZE,
        progress: Callable[[int], None] | None = None,
    ) -> "Detector":
        """A detector for images like these, which the flow was not trained on.

        Every other image is for the statistics, and those between them for the thresholds.

        Args:
            flow: a flow, or the session of an export.
            images: uint8 ``(n, h, w, c)``, at least 40, such as a validation split.
            condition: conditions, for a conditional flow.
            batch_size: images at a time.
            progress: called with the number of images done.

        Raises:
            ValueError: too few images, or images that the flow does not take.
        """
        if len(images) < LEAST:
            raise ValueError(f"images must be at least {LEAST}; got {len(images)}")
        found = statistics_of(flow, images, condition, batch_size, progress)
        return cls.from_statistics(found)

    @classmethod
    def from_statistics(cls, found: Mapping[str, np.ndarray]) -> "Detector":
        """A detector from what :func:`statistics_of` gave for images to calibrate on."""
        shares = (np.arange(POINTS) + 0.5) / POINTS
        points = {name: np.quantile(found[name][::2], shares) for name in NAMES}
        count = len(found[NAMES[0]])
        without = cls(points, {}, count)
        scores = without.from_found({name: values[1::2] for name, values in found.items()})
        thresholds = {
            name: {rate: float(np.quantile(values, 1.0 - rate)) for rate in RATES}
            for name, values in scores.items()
        }
        return cls(points, thresholds, count)

    def scores(
        self,
        flow: Any,
        images: np.ndarray,
        condition: Any = None,
        batch_size: int = BATCH_SIZE,
        progress: Callable[[int], None] | None = None,
    ) -> dict[str, np.ndarray]:
        """All four scores of images, ``(n,)`` each.

        Args:
            flow: the flow that the detector was calibrated for.
            images: uint8 ``(n, h, w, c)``.
            condition: conditions, for a conditional flow.
            batch_size: images at a time.
            progress: called with the number of images done.
        """
        return self.from_found(statistics_of(flow, images, condition, batch_size, progress))

    def from_found(self, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The scores, from what :func:`statistics_of` gave."""
        bits = found["bits_per_dim"]
        dose = -sum(_log_density(self.points[name], found[name]) for name in NAMES)
        return {
            "likelihood": bits,
            "typicality": np.abs(bits - self.points["bits_per_dim"].mean()),
            "complexity": bits - found["png_bits"],
            "dose": np.asarray(dose),
        }

    def flags(
        self, scores: Mapping[str, np.ndarray], score: str = "dose", rate: float = 0.05
    ) -> np.ndarray:
        """Which images are unlike the distribution's, bool ``(n,)``.

        Args:
            scores: what :meth:`scores` gave.
            score: one of ``SCORES``.
            rate: part of the distribution's own images that may be flagged: 0.1, 0.05, 0.02 or
                0.01.
        """
        check_choice("score", score, SCORES)
        return np.asarray(scores[score] > self.threshold(score, rate))

    def threshold(self, score: str, rate: float) -> float:
        """The value of a score that this part of the distribution's own images exceeds."""
        check_choice("rate", check_number("rate", rate), RATES)
        return self.thresholds[score][rate]

    def to_json(self) -> dict[str, Any]:
        """The content of ``detection.json``."""
        return {
            "format": FORMAT,
            "images": self.images,
            "points": {
                name: [float(f"{v:.9g}") for v in values] for name, values in self.points.items()
            },
            "thresholds": {
                score: {str(rate): float(f"{v:.9g}") for rate, v in values.items()}
                for score, values in self.thresholds.items()
            },
        }

    @classmethod
    def from_json(cls, content: Any) -> "Detector":
        """The detector of what :meth:`to_json` gave, which may be untrusted.

        Raises:
            ValueError: it does not hold these numbers.
        """
        if not isinstance(content, dict) or not is_integer(content.get("format")):
            raise ValueError("it names no format version")
        if content["format"] > FORMAT:
            raise ValueError(f"format {content['format']}, this version reads up to {FORMAT}")
        if not is_integer(content.get("images")):
            raise ValueError("images must be an integer")
        points = {name: _numbers(f"points.{name}", content, "points", name) for name in NAMES}
        thresholds = {}
        for score in SCORES:
            given = content.get("thresholds", {}).get(score, {})
            if not all(is_number(given.get(str(rate))) for rate in RATES):
                raise ValueError(f"thresholds.{score} must be a number for each of {RATES}")
            thresholds[score] = {rate: float(given[str(rate)]) for rate in RATES}
        return cls(points, thresholds, content["images"])


def _numbers(where: str, content: Any, key: str, name: str) -> np.ndarray:
    given = content.get(key, {}).get(name)
    if not isinstance(given, list) or len(given) != POINTS or not all(map(is_number, given)):
        raise ValueError(f"{where} must be {POINTS} numbers")
    return np.asarray(given, "float64")


def _log_density(points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Log of a Gaussian kernel estimate of the density of values, in nats."""
    # Silverman's rule; a statistic without spread gets a width that is small beside its size.
    spread = min(points.std(), (points[-1 - len(points) // 4] - points[len(points) // 4]) / 1.349)
    width = max(0.9 * spread * len(points) ** -0.2, 1e-4 * max(1.0, np.abs(points).max()))
    z = (values[:, None] - points) / width
    exponents = -0.5 * z**2
    top = exponents.max(axis=1, keepdims=True)
    sums = np.log(np.exp(exponents - top).sum(axis=1)) + top[:, 0]
    return np.asarray(sums - np.log(len(points) * width * np.sqrt(2.0 * np.pi)))
