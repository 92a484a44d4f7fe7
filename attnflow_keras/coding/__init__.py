"""Lossless compression of images by a flow; needs the extra ``compress``."""

import attnflow_keras._quiet_import  # noqa: F401
from attnflow_keras.coding.codec import compress, decompress
from attnflow_keras.coding.container import CompressedError, Header, read_header

__all__ = ["CompressedError", "Header", "compress", "decompress", "read_header"]
