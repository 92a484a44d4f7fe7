"""Out-of-distribution detection with the likelihood of a flow."""

from attnflow_keras.detection.auroc import auroc
from attnflow_keras.detection.detector import SCORES as SCORES
from attnflow_keras.detection.detector import Detector
from attnflow_keras.detection.statistics import statistics_of

__all__ = ["Detector", "auroc", "statistics_of"]
