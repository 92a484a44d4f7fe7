"""Pure transformations as TFP bijectors: tensors in, no variables, one map per file."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.bijectors.base import FlowBijector
from attnflow_keras.bijectors.channel_autoregressive import ChannelAutoregressive
from attnflow_keras.bijectors.channel_matmul import ChannelMatmul
from attnflow_keras.bijectors.contractive_residual import ContractiveResidual
from attnflow_keras.bijectors.logistic_to_normal import LogisticToNormal
from attnflow_keras.bijectors.logit import Logit
from attnflow_keras.bijectors.mixture_logistic_cdf import MixtureLogisticCDF
from attnflow_keras.bijectors.reference_mixture import ReferenceMixtureLogisticCDF
from attnflow_keras.bijectors.sample_channel_matmul import SampleChannelMatmul
from attnflow_keras.bijectors.shift_scale import ShiftScale
from attnflow_keras.bijectors.split_columns import SplitColumns
from attnflow_keras.bijectors.squeeze import FlipHalves, Squeeze
from attnflow_keras.bijectors.token_mixing import TokenMixing

__all__ = [
    "ChannelAutoregressive",
    "ChannelMatmul",
    "ContractiveResidual",
    "FlipHalves",
    "FlowBijector",
    "LogisticToNormal",
    "Logit",
    "MixtureLogisticCDF",
    "ReferenceMixtureLogisticCDF",
    "SampleChannelMatmul",
    "ShiftScale",
    "SplitColumns",
    "Squeeze",
    "TokenMixing",
]
