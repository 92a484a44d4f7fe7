"""Data sets, the user's images, and pictures out."""

from attnflow_keras.data.bundled import fashion_mnist_sample, mnist_sample
from attnflow_keras.data.datasets import load_dataset
from attnflow_keras.data.images import image_grid, load_images, save_image

__all__ = [
    "fashion_mnist_sample",
    "image_grid",
    "load_dataset",
    "load_images",
    "mnist_sample",
    "save_image",
]
