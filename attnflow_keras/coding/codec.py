"""Compress images by a flow, and decompress them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attnflow_keras.coding.container import CompressedError, Header, pack, unpack
from attnflow_keras.coding.machine import model_hash, runtime_of
from attnflow_keras.coding.methods import Progress, method_of
from attnflow_keras.coding.stack import StackEmptyError
from attnflow_keras.core.checks import check_flag, check_integer

BATCH_SIZE = 500


def compress(
    flow: Any,
    images: np.ndarray,
    batch_size: int = BATCH_SIZE,
    entry: dict[str, str] | None = None,
    names: Sequence[str] = (),
    progress: Progress | None = None,
) -> bytes:
    """Compress images without loss by the likelihood of a flow.

    How depends on the flow, and the header says it, see :class:`Header`:

    - ``"values"``, a causal flow of one block: range coding of grey levels in turn. The
      probability of a grey level, given those before it, is the mass that the flow's density has
      on its bin, over the mass on all 256.
    - ``"stages"``, a flow of couplings from fine to coarse: the same, all values of a stage at
      once.
    - ``"bits back"``, another flow of couplings: local bits-back coding (Ho, Lohn, Abbeel,
      arXiv:1905.08500) of latents, on one stack for all images. It starts with one or two words
      of noise a value of an image, which the header counts.

    The first two take fewer bits than ``bits_per_dim`` says, which is the mean over dequantization
    noise (Jensen's inequality), the last one about as many. A header of half a kilobyte comes on
    top.

    Decoding needs the same flow on the same runtime, see :func:`decompress`.

    Args:
        flow: a flow of one of these kinds, without condition.
        images: uint8 ``(n, h, w, c)``.
        batch_size: most images at a time; decoding takes as many.
        entry: name and ``sha256`` of the zoo's entry, for the header.
        names: names of the images, for the header; paths without suffix.
        progress: called with the number of values done, of ``images.size``.

    Raises:
        ValueError: a flow of another kind, or images of another shape or dtype.
        FloatingPointError: the flow gives numbers that are not finite.
        ImportError: ``constriction`` is not installed.

    Example:
        >>> from attnflow_keras import coding, data, models
        >>> flow = models.CausalFlow((8, 8, 1), patch=4, width=8, layers=1, group=2)
        >>> images = data.mnist_sample()[:3, 2:26:3, 2:26:3]
        >>> packed = coding.compress(flow, images)
        >>> bool((coding.decompress(flow, packed) == images).all())
        True
    """
    method = method_of(flow)
    images = np.asarray(images)
    shape = tuple(flow.image_shape)
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise ValueError(
            f"images must be uint8 (n, {', '.join(map(str, shape))}); got {images.dtype} of shape "
            f"{images.shape}"
        )
    check_integer("batch_size", batch_size)
    if names and len(names) != len(images):
        raise ValueError(f"names must be one for each of {len(images)} images; got {len(names)}")
    header = Header(
        images=len(images),
        shape=shape,
        batch_size=int(batch_size),
        model=model_hash(flow),
        digest=_digest(images),
        runtime=runtime_of(flow),
        method=method.name,
        entry=entry,
        names=list(names),
    )
    encoded = method.encode(images, header.batch_size, progress or _silent)
    header = replace(header, batches=list(encoded.batches), noise_words=encoded.noise_words)
    return pack(header, encoded.words)


def decompress(
    flow: Any, data: bytes, any_runtime: bool = False, progress: Progress | None = None
) -> np.ndarray:
    """Decompress the result of :func:`compress`: uint8 ``(n, h, w, c)``.

    Both must compute the same probabilities to the last bit, so the flow's weights, the versions
    of the libraries, the precision and the processor must be those that the data names. The
    images are compared with the digest in it, so the result equals the original images.

    Args:
        flow: the flow that compressed them.
        data: result of :func:`compress`.
        any_runtime: also try it on a different runtime.
        progress: called with the number of values done.

    Raises:
        CompressedError: damaged data, or another flow or runtime; the message says which.
        ImportError: ``constriction`` is not installed.
    """
    method = method_of(flow)
    check_flag("any_runtime", any_runtime)
    header, words = unpack(data)
    _check_made_by(header, flow, any_runtime)
    if header.method != method.name:
        raise CompressedError(
            f"the images were coded by {header.method!r}; {flow.name!r} codes by {method.name!r}"
        )
    try:
        images = method.decode(words, header, progress or _silent)
    # The first is the coder's word for words that nothing encodes to.
    except (AssertionError, ArithmeticError, StackEmptyError) as error:
        raise CompressedError("compressed images are damaged: no such code") from error
    if _digest(images) != header.digest:
        raise CompressedError(
            "the images came back different: the data are damaged, or this machine computes "
            "otherwise than the one that made them"
        )
    return images


def _digest(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def _check_made_by(header: Header, flow: Any, any_runtime: bool) -> None:
    if header.shape != tuple(flow.image_shape) or header.model != model_hash(flow):
        made = f"entry {header.entry['name']!r}" if header.entry else "another flow"
        raise CompressedError(
            f"the images were compressed by {made}, of weights {header.model}; got "
            f"{flow.name!r}, of weights {model_hash(flow)}"
        )
    here = runtime_of(flow)
    other = [
        f"{name} {header.runtime.get(name)} (here {here.get(name)})"
        for name in sorted({*here, *header.runtime})
        if header.runtime.get(name) != here.get(name)
    ]
    if other and not any_runtime:
        raise CompressedError(
            f"the images were compressed on another runtime: {'; '.join(other)}. Decoding needs "
            "the same one; any_runtime=True (--any-runtime) tries it, and compares the result"
        )


def _silent(done: int) -> None:
    """Report nothing."""
