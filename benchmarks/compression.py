"""Lossless compression of a test split by an entry, beside PNG, WebP and zstd.

``python -m benchmarks.compression`` compresses all MNIST test images with
``attnflow-causal-mnist``, decompresses them, compares every byte, and prints a Markdown table of
sizes. Entries can be named; ``--images`` takes the first so many of the split. ``ATTNFLOW_DATA``
must hold the data set.
"""

import argparse
import io
import time
from typing import Any

import numpy as np

from benchmarks.arguments import count, trained_entry

ENTRY = "attnflow-causal-mnist"


def main() -> None:
    """Compress, decompress, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", type=trained_entry, help=f"default: {ENTRY}")
    parser.add_argument("--images", type=count, help="the first so many; default: all")
    parser.add_argument("--batch-size", type=count, default=2000)
    given = parser.parse_args()

    import zoo
    from attnflow_keras.data import data_set

    for name in given.entries or [ENTRY]:
        dataset = zoo.info(name)["dataset"]
        images = data_set(dataset).images("test")[: given.images]
        sizes, notes = by_flow(name, images, given.batch_size)
        print(f"\n`{name}` on the first {len(images):,} images of {dataset}:test", flush=True)
        print("\n| | bytes | bits/dim |\n|---|---|---|")
        for title, size in {**sizes, **by_formats(images)}.items():
            print(f"| {title} | {size:,.0f} | {8 * size / images.size:.4f} |")
        print("\n" + "\n".join(notes), flush=True)


def by_flow(name: str, images: np.ndarray, batch_size: int) -> tuple[dict[str, float], list[str]]:
    """Bytes of what an entry makes of the images, after a round trip, and lines about it.

    Raises:
        SystemExit: the images came back different.
    """
    import zoo
    from attnflow_keras import coding

    flow, entry = zoo.load(name), zoo.info(name)
    scored = np.asarray(flow.bits_per_dim(images, seed=0), "float64")
    error = scored.std() / len(scored) ** 0.5
    times, clock = [], time.process_time
    start = time.monotonic(), clock()
    known = {key: str(entry[key]) for key in ("name", "sha256")}
    packed = coding.compress(flow, images, batch_size, known, progress=_dots("compress"))
    times.append((time.monotonic() - start[0], clock() - start[1]))
    start = time.monotonic(), clock()
    back = coding.decompress(flow, packed, progress=_dots("decompress"))
    times.append((time.monotonic() - start[0], clock() - start[1]))
    if back.tobytes() != images.tobytes():
        raise SystemExit("the images came back different")
    header = coding.read_header(packed)
    sizes = {
        "coder, with the file's header": len(packed),
        "coder alone": len(packed) - header.size,
    }
    if header.noise_words:
        started = 4 * header.noise_words
        sizes["coder, less the bytes that it started with"] = len(packed) - header.size - started
    sizes["the model's bits/dim, one draw of noise"] = scored.mean() * images.size / 8
    notes = [
        f"all {images.nbytes:,} bytes came back as they were",
        f"model: {scored.mean():.5f} +- {error:.5f} bits/dim over images",
        f"weights: {entry['bytes']:,} bytes",
        f"coded by {header.method!r}, {len(header.parts)} batches of up to "
        f"{max(part.stop - part.start for part in header.parts)} images",
    ]
    if header.noise_words:
        notes.append(f"the coder started with {32 * header.noise_words:,} bits of noise")
    for verb, (wall, cpu) in zip(("compress", "decompress"), times, strict=True):
        notes.append(f"{verb}: {wall:.0f} s, {cpu:.0f} s of CPU time")
    return sizes, notes


def by_formats(images: np.ndarray) -> dict[str, float]:
    """Bytes that other formats without loss take, one file an image and all images in one."""
    # One below the other, a part at a time: WebP takes sides up to 16,383.
    n, height, width, channels = images.shape
    rows = 16_000 // height
    columns = [images[i : i + rows].reshape(-1, width, channels) for i in range(0, n, rows)]
    found: dict[str, float] = {}
    for kind, options in (
        ("PNG", {"optimize": True}),
        ("WebP", {"lossless": True, "quality": 100, "method": 6}),
    ):
        found[f"{kind}, a file for each"] = sum(_size(im, kind, options) for im in images)
        found[f"{kind}, images below one another"] = sum(_size(c, kind, options) for c in columns)
    found["zstd, level 22, all at once"] = _zstd(images)
    return found


def _size(image: np.ndarray, kind: str, options: dict[str, Any]) -> int:
    from PIL import Image

    content = io.BytesIO()
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.save(content, format=kind, **options)
    return len(content.getvalue())


def _zstd(images: np.ndarray) -> int:
    import zstandard

    return len(zstandard.ZstdCompressor(level=22).compress(images.tobytes()))


def _dots(text: str) -> Any:
    shown = [0.0]

    def report(done: int) -> None:
        if time.monotonic() - shown[0] > 30:
            print(f"{text}: {done:,} values", flush=True)
            shown[0] = time.monotonic()

    return report


if __name__ == "__main__":
    main()
