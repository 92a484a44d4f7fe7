"""Metrics over whole data sets, with their conventions."""

from attnflow_keras.metrics.bits_per_dim import evaluate_bits_per_dim
from attnflow_keras.metrics.image_quality import lr_psnr, pixel_diversity, psnr, ssim
from attnflow_keras.metrics.lpips import LPIPS
from attnflow_keras.metrics.restoration import evaluate_restoration, quality

__all__ = [
    "LPIPS",
    "evaluate_bits_per_dim",
    "evaluate_restoration",
    "lr_psnr",
    "pixel_diversity",
    "psnr",
    "quality",
    "ssim",
]
