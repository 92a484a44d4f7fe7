"""Invertible Keras layers: they own the variables and build a bijector in each call."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.layers.actnorm import ActNorm
from attnflow_keras.layers.affine_coupling import AffineCoupling
from attnflow_keras.layers.affine_injector import AffineInjector
from attnflow_keras.layers.causal_attention import CausalAttention
from attnflow_keras.layers.chain import Chain
from attnflow_keras.layers.condition_shift import ConditionShift
from attnflow_keras.layers.condition_slice import ConditionSlice
from attnflow_keras.layers.conditional_actnorm import ConditionalActNorm
from attnflow_keras.layers.conditional_conv import ConditionalConv1x1
from attnflow_keras.layers.contractive_residual import ContractiveResidual
from attnflow_keras.layers.coupling import Coupling, NetworkCoupling
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.layers.imap import IMapAttention
from attnflow_keras.layers.invertible_conv import InvertibleConv1x1
from attnflow_keras.layers.itrans import ITransAttention
from attnflow_keras.layers.logit import Logit
from attnflow_keras.layers.mixture_coupling import MixtureCoupling
from attnflow_keras.layers.multi_scale import MultiScale
from attnflow_keras.layers.split_columns import SplitColumns
from attnflow_keras.layers.squeeze import FlipHalves, Squeeze
from attnflow_keras.layers.transformer_coupling import TransformerCoupling

__all__ = [
    "ActNorm",
    "AffineCoupling",
    "AffineInjector",
    "CausalAttention",
    "Chain",
    "ConditionShift",
    "ConditionSlice",
    "ConditionalActNorm",
    "ConditionalConv1x1",
    "ContractiveResidual",
    "Coupling",
    "FlipHalves",
    "FlowLayer",
    "IMapAttention",
    "ITransAttention",
    "InvertibleConv1x1",
    "Logit",
    "MixtureCoupling",
    "MultiScale",
    "NetworkCoupling",
    "SplitColumns",
    "Squeeze",
    "TransformerCoupling",
]
