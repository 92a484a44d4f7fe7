"""Whether the tiles of a high-resolution image show.

``python -m benchmarks.seams ENTRY`` restores a part of Blue Marble's test bands, too large for one
tile, twice with the same latents: in overlapping tiles, and at once. It prints how far the two
differ, near the borders of tiles and away from them, and the mean step between neighbouring
pixels across the middle of each overlap against that elsewhere: a ratio near 1 is no seam.
"""

import argparse
from typing import Any

import numpy as np

from benchmarks.arguments import count, seed, trained_entry

# Where the land of the test bands lies: Africa's middle and the Near East.
TOP, LEFT = 1000, 3 * 675 + 60


def main() -> None:
    """Restore both ways and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entry", type=trained_entry, help="an entry for super-resolution")
    parser.add_argument("--side", type=count, default=72, help="side of the low-resolution image")
    parser.add_argument("--tile", type=count, default=32)
    parser.add_argument("--overlaps", type=int, nargs="+", default=[0, 4, 8])
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=seed, default=0)
    given = parser.parse_args()

    import zoo
    from attnflow_keras.core.tiles import starts
    from attnflow_keras.data import downscale, load_bluemarble

    flow = zoo.load(given.entry)
    side = flow.scale * given.side
    picture = load_bluemarble()[0][TOP : TOP + side, LEFT : LEFT + side]
    small = downscale(picture[None], flow.scale)[0]
    options = {"temperature": given.temperature, "seed": given.seed}
    whole = flow.restore(small, tile=given.side, **options)[0]
    print(f"{given.entry}: {given.side}x{given.side} to {side}x{side}, tiles of {given.tile}")
    for overlap in given.overlaps:
        tiled = flow.restore(small, tile=given.tile, overlap=overlap, **options)[0]
        firsts = starts(given.side, given.tile, overlap)[1:]
        seams = flow.scale * (np.array(firsts) + overlap / 2)
        print(f"overlap {overlap}: {_line(tiled, whole, seams.astype(int), flow.scale)}")


def _line(tiled: np.ndarray, whole: np.ndarray, seams: np.ndarray, scale: int) -> str:
    difference = np.abs(tiled.astype("float64") - whole).mean(axis=-1)
    near = np.zeros(difference.shape, bool)
    for seam in seams:
        band = slice(max(seam - scale, 0), seam + scale)
        near[band] = near[:, band] = True
    error = np.sqrt(np.square(tiled.astype("float64") - whole).mean())
    psnr = 20 * np.log10(255 / error) if error else np.inf
    return (
        f"{psnr:.1f} dB between tiled and whole, {difference[near].mean():.2f} grey levels near "
        f"borders, {difference[~near].mean():.2f} elsewhere; step across borders "
        f"{_step(tiled, seams):.3f} of that elsewhere (whole: {_step(whole, seams):.3f})"
    )


def _step(picture: np.ndarray, seams: np.ndarray) -> Any:
    """Mean step between neighbours across the borders over the mean elsewhere, both axes."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(picture.astype("float64"), axis=axis)).mean(axis=(1 - axis, 2))
        across = np.zeros(len(steps), bool)
        across[seams - 1] = True
        ratios.append(steps[across].mean() / steps[~across].mean())
    return np.mean(ratios)


if __name__ == "__main__":
    main()
