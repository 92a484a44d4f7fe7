"""Whole photographs, reduced and restored: PSNR and LPIPS beside bicubic interpolation's.

``ATTNFLOW_DATA=data python -m benchmarks.photographs cattnflow-imap-sr4-photos`` takes the five
colour photographs that come with scikit-image, the test set of ``photos_sr4``, and prints a table.
``--picture FILE`` also writes a part of some: reduced, bicubic, restored at each temperature,
ground truth.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.arguments import seed, trained_entry

TEMPERATURES = (0.0, 0.8)
PART = 128
PICTURED = ("astronaut", "chelsea", "coffee", "rocket")  # in the public domain


def main() -> None:
    """Restore, and print a row for each photograph."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entry", type=trained_entry, help="an entry for super-resolution")
    parser.add_argument("--picture", type=Path, help="file to write")
    parser.add_argument("--seed", type=seed, default=0)
    given = parser.parse_args()

    import zoo
    from attnflow_keras.data import downscale, save_image, upscale
    from attnflow_keras.data.sets.photos import test_photographs
    from attnflow_keras.metrics import LPIPS, psnr

    flow, lpips = zoo.load(given.entry), LPIPS()
    names = ["bicubic", *(f"temperature {t:g}" for t in TEMPERATURES)]
    titles = [f"{name}, {what}" for name in names for what in ("dB", "LPIPS")]
    print("| photograph | size | " + " | ".join(titles) + " |")
    strips = []
    print("|---" * (len(titles) + 2) + "|")
    for name, photograph in test_photographs().items():
        height, width = (side - side % flow.scale for side in photograph.shape[:2])
        truth = photograph[None, :height, :width]
        small = downscale(truth, flow.scale)
        restored = [upscale(small, flow.scale)]
        for t in TEMPERATURES:
            restored.append(flow.restore(small[0], temperature=t, seed=given.seed))
        figures = [(psnr(r, truth)[0], float(lpips(r, truth)[0])) for r in restored]
        cells = [f"{db:.2f} | {distance:.3f}" for db, distance in figures]
        print(f"| {name} | {height}x{width} | " + " | ".join(cells) + " |", flush=True)
        if name in PICTURED:
            blocks = np.repeat(np.repeat(small, flow.scale, axis=1), flow.scale, axis=2)
            strips.append(_strip([blocks, *restored, truth]))
    if given.picture:
        save_image(given.picture, np.concatenate(strips))


def _strip(images: list[np.ndarray]) -> np.ndarray:
    """The middle of each, side by side."""
    top, left = ((side - PART) // 2 for side in images[-1].shape[1:3])
    return np.concatenate([i[0, top : top + PART, left : left + PART] for i in images], axis=1)


if __name__ == "__main__":
    main()
