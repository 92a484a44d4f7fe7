"""The format of compressed files: a header in JSON with its hash, then the words of the coder."""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from attnflow_keras.core.checks import is_integer
from attnflow_keras.core.untrusted import is_plain_name, one_line, parse_json

MAGIC = b"AttnFlow\x01"
FORMAT = 3
READ = (2, 3)  # 2 had one method, and no field for it
HASH_BYTES = 32
HEADER_BYTES = 1 << 24
MOST_VALUES = 1 << 32  # of all images
MOST_NAMES = 16  # components of a path


class CompressedError(ValueError):
    """Compressed images that can't be read: damaged, or of another flow or runtime.

    >>> from attnflow_keras import coding
    >>> coding.read_header(b"something else")
    Traceback (most recent call last):
        ...
    attnflow_keras.coding.container.CompressedError: no images compressed by attnflow
    """


@dataclass(frozen=True)
class Header:
    """Header of a compressed file.

    >>> from attnflow_keras import coding
    >>> header = coding.Header(
    ...     images=2, shape=(8, 8, 1), batch_size=2, model="0" * 64, digest="0" * 64, runtime={}
    ... )
    >>> header.values
    128

    Args:
        images: number of images.
        shape: ``(h, w, c)`` of each.
        batch_size: batch size of coding.
        model: hash of the flow, see :func:`attnflow_keras.coding.machine.model_hash`.
        digest: SHA-256 of all grey levels, hexadecimal.
        runtime: see :func:`attnflow_keras.coding.machine.runtime_of`.
        method: how they were coded: grey levels in turn (``"values"``) or from coarse to fine
            (``"stages"``), or latents (``"bits back"``).
        batches: sizes of the batches; empty where all but the last have ``batch_size``.
        noise_words: of the words, how many bits-back coding started with.
        entry: name and ``sha256`` of the zoo's entry, where there is one.
        names: what the images are called, a path without ending each; empty for no names.
        words: number of the coder's words of four bytes.
    """

    images: int
    shape: tuple[int, int, int]
    batch_size: int
    model: str
    digest: str
    runtime: dict[str, str]
    method: str = "values"
    batches: list[int] = field(default_factory=list)
    noise_words: int = 0
    entry: dict[str, str] | None = None
    names: list[str] = field(default_factory=list)
    words: int = 0

    @property
    def size(self) -> int:
        """Bytes of the file that are not the coder's."""
        return len(MAGIC) + 4 + len(self.text) + HASH_BYTES

    @property
    def text(self) -> bytes:
        """The header as it is written."""
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":")).encode()

    @property
    def values(self) -> int:
        """Values of all images together."""
        height, width, channels = self.shape
        return self.images * height * width * channels

    @property
    def parts(self) -> list[slice]:
        """The batches, as parts of the images."""
        sizes = self.batches or batch_sizes(self.images, self.batch_size)
        ends = np.cumsum(sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """Batches of equal size, but for the last."""
    return [min(batch_size, images - start) for start in range(0, images, batch_size)]


def pack(header: Header, words: np.ndarray) -> bytes:
    """The content of a compressed file."""
    text = replace(header, words=len(words)).text
    head = MAGIC + struct.pack("<I", len(text)) + text
    return head + hashlib.sha256(head).digest() + words.astype("<u4").tobytes()


def unpack(data: bytes) -> tuple[Header, np.ndarray]:
    """Header and words of a compressed file, which may be untrusted.

    Raises:
        CompressedError: not compressed images, or damaged.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise CompressedError(
            f"data must be bytes, such as those of a file; got {type(data).__name__}"
        )
    data = bytes(data)
    if not data.startswith(MAGIC):
        raise CompressedError("no images compressed by attnflow")
    try:
        (size,) = struct.unpack_from("<I", data, len(MAGIC))
        start = len(MAGIC) + 4
        if size > HEADER_BYTES or start + size > len(data):
            raise ValueError(f"its header has {size:,} bytes")
        end = start + size
        header = _checked(parse_json(data[start:end]))
        if hashlib.sha256(data[:end]).digest() != data[end : end + HASH_BYTES]:
            raise ValueError("its header is not as it was written")
        rest = len(data) - end - HASH_BYTES
        if rest != 4 * header.words:
            raise ValueError(f"{rest:,} bytes after the header, which says {4 * header.words:,}")
        words = np.frombuffer(data, "<u4", offset=end + HASH_BYTES)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise CompressedError(f"compressed images are damaged: {one_line(error)}") from error
    return header, words


def read_header(data: bytes) -> Header:
    """Read the header of compressed images: their number, flow and runtime.

    Args:
        data: result of :func:`compress`.

    Raises:
        CompressedError: not compressed images, or damaged.
    """
    return unpack(data)[0]


def _checked(content: Any) -> Header:
    if not isinstance(content, dict):
        raise ValueError("its header is no object")
    version = content.pop("format", None)
    if version not in READ or isinstance(version, bool):
        raise ValueError(
            f"format {version!r:.20}, this version reads {' and '.join(map(str, READ))}"
        )
    header = Header(**{**content, "shape": tuple(content["shape"])})
    counts = (header.images, header.batch_size, *header.shape)
    if len(header.shape) != 3 or not all(is_integer(n) and 0 < n < 1 << 32 for n in counts):
        raise ValueError("number, size and batches of the images must be positive integers")
    if not all(is_integer(n) and n >= 0 for n in (header.words, header.noise_words)):
        raise ValueError("the number of the coder's words must be an integer of 0 or more")
    if header.noise_words > MOST_VALUES:
        raise ValueError(f"{header.noise_words:,} words of noise, more than {MOST_VALUES:,}")
    if header.values > MOST_VALUES:
        raise ValueError(f"{header.values:,} values, more than {MOST_VALUES:,}")
    _check_batches(header)
    texts = [header.model, header.digest, header.method]
    for of in (header.runtime, header.entry or {}):
        if not isinstance(of, dict):
            raise ValueError("entry and runtime must be objects")
        texts += of.values()
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("model, entry and runtime must hold strings")
    if not isinstance(header.names, list) or len(header.names) not in (0, header.images):
        raise ValueError(f"{len(header.names)} names of {header.images} images")
    seen: set[str] = set()
    for name in header.names:
        if not isinstance(name, str):
            raise ValueError("names must be strings")
        if name in seen:
            raise ValueError(f"two images are named {name!r:.80}")
        seen.add(name)
        parts = name.split("/")
        if len(parts) > MOST_NAMES or not all(map(is_plain_name, parts)):
            raise ValueError(f"{name!r:.80} is no plain name")
    return header


def _check_batches(header: Header) -> None:
    sizes = header.batches
    if not isinstance(sizes, list) or not all(
        is_integer(n) and 0 < n <= header.batch_size for n in sizes
    ):
        raise ValueError(f"batches must be of 1 to {header.batch_size} images")
    if sizes and sum(sizes) != header.images:
        raise ValueError(f"batches of {sum(sizes):,} images, which are {header.images:,}")
