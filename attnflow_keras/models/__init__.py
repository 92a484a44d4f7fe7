"""Flows: the base model and one file per backbone."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.flow.flow import Flow
from attnflow_keras.models.causal_flow import CausalFlow
from attnflow_keras.models.cglow import CGlow
from attnflow_keras.models.dualglow import DualGlow
from attnflow_keras.models.flow_plus_plus import FlowPlusPlus
from attnflow_keras.models.fullglow import FullGlow
from attnflow_keras.models.glow import Glow
from attnflow_keras.models.marflow import MARFlow
from attnflow_keras.models.residual_flow import ResidualFlow
from attnflow_keras.models.srflow import SRFlow
from attnflow_keras.models.transformer_coupling_flow import TransformerCouplingFlow

__all__ = [
    "CGlow",
    "CausalFlow",
    "DualGlow",
    "Flow",
    "FlowPlusPlus",
    "FullGlow",
    "Glow",
    "MARFlow",
    "ResidualFlow",
    "SRFlow",
    "TransformerCouplingFlow",
]
