"""Where restorations of one low-resolution image differ: their spread as an uncertainty map.

``python docs/uncertainty_map.py -o spread.png`` draws 16 restorations of some Blue Marble test
tiles and writes one row a tile: the low-resolution image, two restorations, the mean of all, their
spread, the error of the mean, the ground-truth image. Both maps have one scale, black for 0 and
white for the greatest value. The correlation of spread and error over pixels is printed: 1 would be
a spread that tells exactly where the restoration is wrong. Expect 0.1 to 0.4, since most of the
error of one pixel is chance; what the map shows is which regions are open, such as coasts.
"""

import argparse
from pathlib import Path

import numpy as np

import zoo
from attnflow_keras.data import bluemarble_sample, downscale, save_image

GAP = 4


def main() -> None:
    """Draw, print the correlation and write the image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entry", default="cattnflow-imap-sr8-bluemarble")
    parser.add_argument("--tiles", type=int, nargs="+", default=[3, 9, 17, 25], help="0 to 31")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--temperature", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("spread.png"))
    given = parser.parse_args()
    if given.samples < 2:
        parser.error(f"--samples must be at least 2; got {given.samples}")
    images = bluemarble_sample()[0]
    if not all(0 <= tile < len(images) for tile in given.tiles):
        parser.error(f"--tiles must be 0 to {len(images) - 1}; got {given.tiles}")

    flow = zoo.load(given.entry)
    rows = []
    for tile in given.tiles:
        true = images[tile]
        small = downscale(true[None], flow.scale)
        drawn = flow.sample(
            given.samples, small, temperature=given.temperature, seed=given.seed
        ).astype("float64")
        spread = drawn.std(axis=0, ddof=1).mean(axis=-1)
        error = np.abs(drawn.mean(axis=0) - true).mean(axis=-1)
        correlation = np.corrcoef(spread.ravel(), error.ravel())[0, 1]
        print(
            f"tile {tile}: spread {spread.mean():.1f} grey levels, error of the mean "
            f"{error.mean():.1f}, correlation {correlation:.2f}"
        )
        top = max(spread.max(), error.max(), 1e-6)
        shown = [
            small[0].repeat(flow.scale, axis=0).repeat(flow.scale, axis=1),
            drawn[0],
            drawn[1],
            drawn.mean(axis=0),
            grey(spread / top),
            grey(error / top),
            true,
        ]
        rows.append(beside(shown, axis=1))
    save_image(given.out, beside(rows, axis=0))
    print(f"wrote {given.out}")


def grey(values: np.ndarray) -> np.ndarray:
    """A map of values from 0 to 1 as an RGB image."""
    return np.repeat(255 * values[..., None], 3, axis=-1)


def beside(pictures: list[np.ndarray], axis: int) -> np.ndarray:
    """Images in one, with white between them."""
    parts = []
    for picture in pictures:
        shape = list(picture.shape)
        shape[axis] = GAP
        parts += [np.rint(picture).astype("uint8"), np.full(shape, 255, "uint8")]
    return np.concatenate(parts[:-1], axis=axis)


if __name__ == "__main__":
    main()
