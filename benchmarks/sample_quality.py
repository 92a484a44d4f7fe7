"""Distances of samples from test images, in features of VGG16.

``python -m benchmarks.sample_quality`` draws from every unconditional entry with weights as many
images as ``--images`` says, and prints the Fréchet and the kernel distance of their features from
those of as many test images of the entry's data set. The first row of a data set has training
images in the place of samples: no model need do better. The features are averages over the image
of a late map of VGG16 (``metrics.VGG16Features``): the figures are not FID or KID, and compare
with one another alone. ``ATTNFLOW_DATA`` must hold the data sets and ``lpips/vgg16.npz``.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import write_file
from benchmarks.arguments import count, seed, trained_entry
from benchmarks.tables import with_other_rows

BATCH = 100


def main() -> None:
    """Draw, print a table, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", type=trained_entry, help="default: all unconditional")
    parser.add_argument("--images", type=count, default=2000, help="samples, and test images")
    parser.add_argument("--seed", type=seed, default=0)
    parser.add_argument("--write", type=Path, help="file for the table; other entries' rows stay")
    given = parser.parse_args()

    import zoo
    from attnflow_keras.metrics import VGG16Features

    names = given.entries or zoo.list(task="unconditional", pretrained=True)
    features = VGG16Features()
    known: dict[str, np.ndarray] = {}
    lines = [
        "# Sample quality",
        "",
        f"Written by `python -m benchmarks.sample_quality --images {given.images} --write "
        f"docs/sample-quality.md`: samples at temperature 1, seed {given.seed}, against as many "
        "test images (n), in features of VGG16 averaged over the image. Not FID or KID, which use "
        "another network. Lower is better; compare rows of one data set. Kernel distance ± "
        "standard error over blocks of 1,000, if there are several.",
        "",
        "| images | data set | n | Fréchet distance | kernel distance |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        data_set = zoo.info(name)["dataset"]
        if data_set not in known:
            known[data_set] = features(images_of(data_set, "test", given.images))
            n = len(known[data_set])
            own = features(images_of(data_set, "train", n))
            lines.append(row(f"training images of {data_set}", data_set, own, known[data_set]))
            print(lines[-1], flush=True)
        expected = known[data_set]
        samples = zoo.load(name).sample(len(expected), seed=given.seed, batch_size=BATCH)
        lines.append(row(f"`{name}`", data_set, features(samples), expected))
        print(lines[-1], flush=True)
    text = "\n".join(lines)
    if given.write:
        if given.entries and given.write.exists():
            text = with_other_rows(text, given.write.read_text())
        write_file(given.write, text + "\n")


def row(title: str, data_set: str, found: Any, expected: Any) -> str:
    """A line of the table, of features of images and of test images."""
    from attnflow_keras.metrics import frechet_distance, kernel_distance

    distance, error = kernel_distance(found, expected)
    shown = f"{distance:.3g}" if np.isnan(error) else f"{distance:.3g} ± {error:.1g}"
    return (
        f"| {title} | {data_set} | {len(expected):,} | {frechet_distance(found, expected):.3g} "
        f"| {shown} |"
    )


def images_of(data_set: str, split: str, most: int) -> np.ndarray:
    """The first images of a split; the training images of data sets that are crops of pictures."""
    from attnflow_keras.data import data_set as known

    return np.asarray(known(data_set).images(split)[:most])


if __name__ == "__main__":
    main()
