"""Conditioner networks of the couplings."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.networks.actnorm_conv import ActNormConvNet
from attnflow_keras.networks.causal_transformer import CausalTransformer
from attnflow_keras.networks.condition_map import ConditionMap
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.networks.contractive import ContractiveNet
from attnflow_keras.networks.contractive_attention import ContractiveAttention
from attnflow_keras.networks.contractive_conv import ContractiveConvNet
from attnflow_keras.networks.conv_lstm import ConvLSTM
from attnflow_keras.networks.gated_attention import GatedAttentionNet
from attnflow_keras.networks.gated_conv import GatedConvNet
from attnflow_keras.networks.glow_conv import GlowConvNet
from attnflow_keras.networks.linear_predictor import LinearPredictor
from attnflow_keras.networks.map_to_vector import MapToVectorNet
from attnflow_keras.networks.masked_head import MaskedHead
from attnflow_keras.networks.resized_condition import ResizedConditionNet
from attnflow_keras.networks.rrdb import RRDBNet
from attnflow_keras.networks.strided_vector import StridedVectorNet
from attnflow_keras.networks.weight_norm import WeightNormConv2D
from attnflow_keras.networks.zero_conv import ZeroConv2D

__all__ = [
    "ActNormConvNet",
    "CausalTransformer",
    "ConditionMap",
    "Conditioner",
    "ContractiveAttention",
    "ContractiveConvNet",
    "ContractiveNet",
    "ConvLSTM",
    "GatedAttentionNet",
    "GatedConvNet",
    "GlowConvNet",
    "LinearPredictor",
    "MapToVectorNet",
    "MaskedHead",
    "RRDBNet",
    "ResizedConditionNet",
    "StridedVectorNet",
    "WeightNormConv2D",
    "ZeroConv2D",
]
