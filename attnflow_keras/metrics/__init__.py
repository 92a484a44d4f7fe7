"""Metrics over whole data sets, with their conventions."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.metrics.bits_per_dim import evaluate_bits_per_dim
from attnflow_keras.metrics.classification import evaluate_classification
from attnflow_keras.metrics.fidelity import inception_scores
from attnflow_keras.metrics.image_quality import lr_psnr, pixel_diversity, psnr, ssim
from attnflow_keras.metrics.lpips import LPIPS
from attnflow_keras.metrics.restoration import evaluate_restoration, quality
from attnflow_keras.metrics.sample_quality import class_score, frechet_distance, kernel_distance
from attnflow_keras.metrics.segmentation import Segmenter, class_means
from attnflow_keras.metrics.translation import evaluate_translation, likeness
from attnflow_keras.metrics.vgg16 import VGG16Features

__all__ = [
    "LPIPS",
    "Segmenter",
    "VGG16Features",
    "class_means",
    "class_score",
    "evaluate_bits_per_dim",
    "evaluate_classification",
    "evaluate_restoration",
    "evaluate_translation",
    "frechet_distance",
    "inception_scores",
    "kernel_distance",
    "likeness",
    "lr_psnr",
    "pixel_diversity",
    "psnr",
    "quality",
    "ssim",
]
