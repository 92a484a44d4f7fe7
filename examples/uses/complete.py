"""Complete digits of which the top half is known.

``python -m examples.uses.complete -o completed.png`` writes a row a digit: the test image, what is
known of it, and several completions. Each is a draw from the flow's distribution given the known
half, so where they differ, the half leaves it open. Printed is how often a pixel is ink (above
level 127) in the completions, by whether it is in the ground truth.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from examples.uses.pictures import grid


def main() -> None:
    """Draw, print and write the image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entry", default="attnflow-causal-mnist", help="a causal entry")
    parser.add_argument("--images", type=int, default=6, help="digits of the bundled sample")
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--rows", type=int, default=16, help="that are known: whole patches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("completed.png"))
    given = parser.parse_args()

    import zoo
    from attnflow_keras.data import mnist_sample, save_image

    flow = zoo.load(given.entry)
    images = mnist_sample()[: given.images]
    drawn = completions(flow, images, given.rows, given.draws, given.seed)
    shown = images.copy()
    shown[:, given.rows :] = 128
    save_image(given.out, grid([[a, b, *c] for a, b, c in zip(images, shown, drawn, strict=True)]))
    below = slice(given.rows, None)
    truth, found = images[:, None, below] > 127, drawn[:, :, below] > 127
    truth = np.broadcast_to(truth, found.shape)
    print(
        f"ink in the completions: {found[truth].mean():.0%} of the pixels that are ink, "
        f"{found[~truth].mean():.1%} of those that are not"
    )
    print(f"wrote {given.out}")


def completions(flow: Any, images: np.ndarray, rows: int, draws: int, seed: int) -> np.ndarray:
    """Images ``(n, draws, h, w, c)`` whose first rows are those of ``images``."""
    known = np.zeros(images.shape[1:3], bool)
    known[:rows] = True
    repeated = images.repeat(draws, axis=0)
    drawn = flow.complete(repeated, known, seed=seed)
    return np.asarray(drawn).reshape(len(images), draws, *images.shape[1:])


if __name__ == "__main__":
    main()
