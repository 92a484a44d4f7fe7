"""Conditioner networks of the couplings."""

from attnflow_keras.networks.conv_lstm import ConvLSTM
from attnflow_keras.networks.gated_attention import GatedAttentionNet
from attnflow_keras.networks.gated_conv import GatedConvNet
from attnflow_keras.networks.weight_norm import WeightNormConv2D

__all__ = ["ConvLSTM", "GatedAttentionNet", "GatedConvNet", "WeightNormConv2D"]
