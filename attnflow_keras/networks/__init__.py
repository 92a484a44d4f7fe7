"""Conditioner networks: ordinary Keras layers with an ``out_channels`` attribute."""

from attnflow_keras.networks.gated_conv import GatedConvNet

__all__ = ["GatedConvNet"]
