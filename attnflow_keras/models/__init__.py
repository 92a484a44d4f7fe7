"""Flows: the base model and one file a backbone."""

from attnflow_keras.models.flow import Flow
from attnflow_keras.models.marflow import MARFlow

__all__ = ["Flow", "MARFlow"]
