"""Data sets, the user's images, and writing of images."""

from attnflow_keras.core.palettes import as_classes
from attnflow_keras.data.bicubic import bicubic_resize, downscale, upscale
from attnflow_keras.data.bluemarble import BlueMarbleCrops, bluemarble_tiles, load_bluemarble
from attnflow_keras.data.bundled import bluemarble_sample, fashion_mnist_sample, mnist_sample
from attnflow_keras.data.celeba import celeba_split, load_celeba, prepare_celeba
from attnflow_keras.data.cityscapes import load_cityscapes, prepare_cityscapes
from attnflow_keras.data.dataset import DataSet
from attnflow_keras.data.datasets import (
    data_set,
    data_sets,
    is_data_set,
    load_dataset,
    load_paired,
)
from attnflow_keras.data.images import image_grid, load_images, save_image
from attnflow_keras.data.label_maps import load_label_map, load_labelled_folder
from attnflow_keras.data.pairs import load_pair_folder, load_picture
from attnflow_keras.data.picture_files import load_pictures

__all__ = [
    "BlueMarbleCrops",
    "DataSet",
    "as_classes",
    "bicubic_resize",
    "bluemarble_sample",
    "bluemarble_tiles",
    "celeba_split",
    "data_set",
    "data_sets",
    "downscale",
    "fashion_mnist_sample",
    "image_grid",
    "is_data_set",
    "load_bluemarble",
    "load_celeba",
    "load_cityscapes",
    "load_dataset",
    "load_images",
    "load_label_map",
    "load_labelled_folder",
    "load_pair_folder",
    "load_paired",
    "load_picture",
    "load_pictures",
    "mnist_sample",
    "prepare_celeba",
    "prepare_cityscapes",
    "save_image",
    "upscale",
]
