"""How exactly decode(encode(x)) reproduces images unlike the training data.

``python -m benchmarks.exactness`` measures all entries with weights, or those that are named: the
round trip of each of ``odd_images`` in grey levels, latents of 1.2 sigma there and back, and how
far scores of one batch differ from those of single images. ``--record`` writes the figures into the
entries' metadata.json and cards.

``--real N`` measures the round trip of the first N test images of the entry's data set instead, in
the middle of their grey levels and with dequantization noise: how many come back with all their
grey levels. ``--dtype float64`` computes it in float64.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.arguments import count, trained_entry

# JSON has no infinity.
LARGEST = 1e30


def main() -> None:
    """Measure, print, and record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", type=trained_entry, help="default: all with weights")
    parser.add_argument("--record", action="store_true", help="write the figures into the entries")
    parser.add_argument("--all", action="store_true", help="print every image")
    parser.add_argument("--real", type=count, metavar="N", help="round trip of N test images")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    given = parser.parse_args()
    if given.record and given.real:
        parser.error("--record goes with the extreme images, not with --real")

    import zoo
    from zoo.folder import update_metadata
    from zoo.registry import PRESETS

    for name in given.entries or zoo.list(pretrained=True):
        if given.real:
            for line in round_trips(name, given.real, given.dtype):
                print(line, flush=True)
            continue
        found = measure(name)
        errors = found["grey_levels"]
        worst = max(errors, key=errors.get)
        print(
            f"{name}: at most {errors[worst]:.3g} grey levels ({worst}); latents "
            f"{found['latents']:.2g}; scores by batch size {found['batch_size']:.1e}"
        )
        for picture, error in errors.items() if given.all else ():
            print(f"    {picture}: {error:.3g}")
        if given.record:
            update_metadata(PRESETS / name, {"exactness": found})


def measure(name: str) -> dict[str, Any]:
    """Figures of one entry.

    Returns:
        ``grey_levels``, the maximum error of each extreme image; ``latents``, the maximum
        difference of latents of 1.2 sigma that were decoded and encoded again; ``batch_size``, the
        maximum relative difference between a score in a batch and alone.
    """
    import zoo
    from attnflow_keras.core import noise
    from attnflow_keras.core.exactness import level_errors
    from attnflow_keras.data.odd import odd_condition, odd_images
    from zoo.cli.common import bundled_images

    flow = zoo.load(name)
    odd = odd_images(flow.image_shape)
    images = np.stack(list(odd.values()))
    bundled = bundled_images(zoo.info(name))
    given = odd_condition(flow, images, None if bundled is None else bundled[1])
    x = flow.dequantize(images, center=True)
    back = flow.decode(flow.encode(x, given)[0], given)
    errors = level_errors(x, back)

    latents = noise.draw_latents(len(images), list(flow.latent_shapes), 1.2, 0)
    again, _ = flow.encode(flow.decode(latents, given), given)
    drift = [np.abs(np.asarray(a) - b).max() for a, b in zip(again, latents, strict=True)]

    noisy = flow.dequantize(images)
    whole = np.asarray(flow.log_prob(noisy, given), "float64")
    alone = np.asarray(flow.log_prob(noisy, given, batch_size=1), "float64")
    return {
        "grey_levels": {
            key: float(f"{min(e, LARGEST):.3g}") for key, e in zip(odd, errors, strict=True)
        },
        "latents": float(f"{max(drift):.2g}"),
        "batch_size": float(f"{(np.abs(whole - alone) / np.abs(whole)).max():.2g}"),
    }


def round_trips(name: str, most: int, dtype: str) -> Iterator[str]:
    """What comes back of real images, a line without and one with dequantization noise."""
    import zoo
    from attnflow_keras.core import noise
    from attnflow_keras.data import data_set
    from zoo.tasks import task_of

    entry = zoo.info(name)
    flow = zoo.load(name, dtype=dtype)
    flow.jit = True
    images, given = task_of(entry).of_data_set(entry["config"], data_set(entry["dataset"]), "test")
    images, given = images[:most], None if given is None else given[:most]
    for centred in (True, False):
        x = flow.dequantize(images, center=centred)
        back = np.asarray(flow.decode(flow.encode(x, given)[0], given))
        wrong = (noise.quantize(back) != images).reshape(len(images), -1)
        yield (
            f"{name}, {dtype}, {'middle of levels' if centred else 'with noise'}: "
            f"{(~wrong.any(axis=1)).sum():,} of {len(images):,} images come back with all grey "
            f"levels; {wrong.sum():,} of {wrong.size:,} values differ"
        )


if __name__ == "__main__":
    main()
