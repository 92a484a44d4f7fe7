"""Keras' operations whose channels are last, whatever ``keras.config.image_data_format()`` says."""

from functools import partial

import keras
from keras import ops

FORMAT = "channels_last"

conv2d = partial(keras.layers.Conv2D, data_format=FORMAT)
average_pool = partial(ops.average_pool, data_format=FORMAT)
