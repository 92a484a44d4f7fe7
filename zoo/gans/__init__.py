"""Adversarial models that the paper's tables compare flows with; they have no likelihood."""

import attnflow_keras._quiet_import  # noqa: F401
from zoo.gans.dcgan import DCGAN
from zoo.gans.esrgan import ESRGAN
from zoo.gans.pix2pix import Pix2Pix

__all__ = ["DCGAN", "ESRGAN", "Pix2Pix"]
