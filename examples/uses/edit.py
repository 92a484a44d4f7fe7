"""Edit digits along directions of attributes in latent space.

``python -m examples.uses.edit -o edited.png`` encodes test digits and finds, for two attributes,
the direction from the mean latents of the third of the images that has least of it to those of the
third that has most (as Glow does, arXiv:1807.03039, section 6). Other digits are then moved along
it and decoded: in rows, from minus to plus, the digit itself in the middle. Printed is the
attribute of the edited digits, which were not used to find the direction.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from examples.uses.pictures import grid

STEPS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)


def main() -> None:
    """Find directions, edit, print and write the image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entry", default="attnflow-imap-mnist", help="an unconditional entry")
    parser.add_argument("--images", type=int, default=4, help="digits to edit, for each attribute")
    parser.add_argument("-o", "--out", type=Path, default=Path("edited.png"))
    given = parser.parse_args()

    import zoo
    from attnflow_keras.data import mnist_sample, save_image

    flow = zoo.load(given.entry)
    edited, others = np.split(mnist_sample(), [given.images])
    rows: list[np.ndarray] = []
    for name, attribute in ATTRIBUTES.items():
        found = edits(flow, edited, direction(flow, others, attribute(others)))
        values = [attribute(step).mean() for step in found]
        spread = attribute(others).std(ddof=1)
        shown = ", ".join(f"{(value - values[len(values) // 2]) / spread:+.2f}" for value in values)
        print(
            f"{name}, in standard deviations of the digits, from {STEPS[0]} to {STEPS[-1]}: {shown}"
        )
        rows.extend(np.swapaxes(found, 0, 1))
    save_image(given.out, grid(rows))
    print(f"wrote {given.out}")


def thickness(images: np.ndarray) -> np.ndarray:
    """Mean grey level."""
    return np.asarray(images.mean(axis=(1, 2, 3)))


def slant(images: np.ndarray) -> np.ndarray:
    """How far, in pixels, the ink moves to the left for each row further down."""
    ink = images[..., 0].astype("float64") + 1e-9
    total = ink.sum(axis=(1, 2))
    y, x = np.mgrid[: ink.shape[1], : ink.shape[2]]
    y, x = (v - ((ink * v).sum(axis=(1, 2)) / total)[:, None, None] for v in (y, x))
    return np.asarray(-(ink * y * x).sum(axis=(1, 2)) / (ink * y * y).sum(axis=(1, 2)))


ATTRIBUTES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "thickness": thickness,
    "slant": slant,
}


def direction(flow: Any, images: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """From the mean latents where an attribute is small to those where it is large.

    Args:
        flow: an unconditional flow.
        images: uint8 ``(n, h, w, c)``.
        values: the attribute of each, ``(n,)``.

    Returns:
        One array for each of the flow's latents, without the batch.
    """
    latents, _ = flow.encode(flow.dequantize(images, center=True))
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    parts = [np.asarray(z) for z in latents]
    return [z[values >= high].mean(axis=0) - z[values <= low].mean(axis=0) for z in parts]


def edits(flow: Any, images: np.ndarray, along: list[np.ndarray]) -> np.ndarray:
    """Images ``(steps, n, h, w, c)`` of latents moved along a direction by ``STEPS``."""
    latents, _ = flow.encode(flow.dequantize(images, center=True))
    moved = [
        np.concatenate([np.asarray(z) + step * part for step in STEPS])
        for z, part in zip(latents, along, strict=True)
    ]
    decoded = flow.to_uint8(flow.decode(moved))
    return np.asarray(decoded).reshape(len(STEPS), *images.shape)


if __name__ == "__main__":
    main()
