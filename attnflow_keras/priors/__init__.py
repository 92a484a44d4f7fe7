"""Priors: invertible layers from a latent map to independent standard normals."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.priors.autoregressive import AutoregressivePrior
from attnflow_keras.priors.gaussian import GaussianPrior
from attnflow_keras.priors.linked import LearnedTopPrior, LinkedPrior
from attnflow_keras.priors.standard import StandardPrior

__all__ = [
    "AutoregressivePrior",
    "GaussianPrior",
    "LearnedTopPrior",
    "LinkedPrior",
    "StandardPrior",
]
