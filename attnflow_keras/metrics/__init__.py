"""Metrics over whole data sets, with their conventions."""

from attnflow_keras.metrics.bits_per_dim import evaluate_bits_per_dim

__all__ = ["evaluate_bits_per_dim"]
