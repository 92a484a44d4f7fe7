"""Take Gaussian noise off digits, with the flow as the prior of Bayes' rule.

``python -m examples.uses.denoise -o denoised.png`` adds noise to test digits and writes, in rows:
noisy images, a median filter's, the posterior's mean, one draw from it, and the ground truth. The
peak signal-to-noise ratios are printed.

A causal flow gives p(level | levels before it), and the noise p(noisy level | level). Several
particles a digit go through the image in the flow's order. Each draws a level from the product of
both, and its weight grows by the product's sum, which is how well it foresaw the noisy level. After
a patch the particles of a digit are drawn anew by their weights if these have become unequal
(sequential Monte Carlo with the optimal proposal, Doucet et al., 2000). With many particles they
are draws from the posterior.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.coding.conditionals import LEVELS, Conditionals, Networks
from attnflow_keras.core.completion import value_order
from examples.uses.pictures import grid


def main() -> None:
    """Add noise, take it off, print and write the image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entry", default="attnflow-causal-mnist", help="a causal entry")
    parser.add_argument("--images", type=int, default=12, help="digits of the bundled sample")
    parser.add_argument("--sigma", type=float, default=80.0, help="of the noise, in grey levels")
    parser.add_argument("--particles", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("denoised.png"))
    given = parser.parse_args()

    from scipy.ndimage import gaussian_filter, median_filter

    import zoo
    from attnflow_keras.data import mnist_sample, save_image

    flow = zoo.load(given.entry)
    images = mnist_sample()[: given.images]
    rng = np.random.default_rng(given.seed)
    noisy = add_noise(images, given.sigma, rng)
    draws, weights = posterior(flow, noisy, given.sigma, given.particles, rng, _progress)
    mean = (draws * weights[..., None, None, None]).sum(axis=1)
    filtered = np.stack([median_filter(image, (3, 3, 1)) for image in noisy])
    smooth = np.stack([gaussian_filter(image.astype("float64"), (1, 1, 0)) for image in noisy])
    shown = [noisy, filtered, np.rint(mean).astype("uint8"), draws[:, 0], images]
    save_image(given.out, grid(shown))
    for name, result in (
        ("noisy", noisy),
        ("median filter, 3x3", filtered),
        ("Gaussian filter, 1 pixel", smooth),
        ("one draw from the posterior", draws[:, 0]),
        ("mean of the posterior", mean),
    ):
        ratios = psnr(result, images)
        error = ratios.std(ddof=1) / len(ratios) ** 0.5
        print(f"{name:28} {ratios.mean():5.1f} ± {error:.1f} dB")
    print(f"wrote {given.out}")


def add_noise(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Images with Gaussian noise, rounded and cut to 0 to 255."""
    noisy = np.rint(images + sigma * rng.standard_normal(images.shape))
    return noisy.clip(0, LEVELS - 1).astype("uint8")


def noise_table(sigma: float) -> np.ndarray:
    """Probability of each noisy level (columns) given each level (rows); rows sum to 1."""
    from scipy.special import ndtr

    levels = np.arange(LEVELS, dtype="float64")
    edges = np.concatenate([[-np.inf], levels[1:] - 0.5, [np.inf]])
    below = ndtr((edges - levels[:, None]) / sigma)
    return np.diff(below, axis=1)


def posterior(
    flow: Any,
    noisy: np.ndarray,
    sigma: float,
    particles: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the images without noise, and their weights.

    Args:
        flow: a causal flow of one block, without condition.
        noisy: uint8 ``(n, h, w, c)``.
        sigma: standard deviation of the noise, in grey levels.
        particles: draws for each image.
        rng: source of randomness.
        progress: called with the number of patches done and of all.

    Returns:
        Images ``(n, particles, h, w, c)``, uint8, and weights ``(n, particles)``, which sum to 1.
    """
    networks = Networks(flow)
    n, rows = len(noisy), len(noisy) * particles
    given = Conditionals(networks, rows)
    layer = networks.layer
    order = value_order(tuple(flow.image_shape), layer.patch, layer.order)
    seen = noisy.reshape(n, -1)[:, order].repeat(particles, axis=0)
    likely = noise_table(sigma)
    levels = np.zeros((rows, len(order)), "uint8")
    log_weights = np.zeros((n, particles))
    for t in range(given.tokens):
        given.begin(t)
        for i in range(given.values):
            place = t * given.values + i
            product = probabilities(given.distribution(i), rows) * likely[:, seen[:, place]].T
            total = product.sum(axis=1)
            log_weights += np.log(np.maximum(total, 1e-300)).reshape(n, particles)
            levels[:, place] = draw(product, rng)
            given.tell(i, levels[:, place])
        weights = normalized(log_weights)
        unequal = 1.0 / (weights**2).sum(axis=1) < particles / 2
        if unequal.any() and t + 1 < given.tokens:
            kept = resampled(weights, unequal, rng)
            levels = levels[kept]
            given.keep(kept)
            log_weights[unequal] = 0.0
        if progress is not None:
            progress(t + 1, given.tokens)
    images = np.empty_like(levels)
    images[:, order] = levels
    return images.reshape(n, particles, *noisy.shape[1:]), normalized(log_weights)


def probabilities(distribution: Any, n: int) -> np.ndarray:
    """Probability of each of the 256 levels, ``(n, 256)``."""
    below = np.stack([distribution.cdf(np.full(n, edge)) for edge in range(LEVELS + 1)], axis=1)
    mass = np.diff(below, axis=1).clip(0.0)
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def draw(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row the number of a column, drawn by the row's weights."""
    below = weights.cumsum(axis=1)
    points = rng.random((len(weights), 1)) * below[:, -1:]
    return (below <= points).sum(axis=1).clip(0, weights.shape[1] - 1)


def normalized(log_weights: np.ndarray) -> np.ndarray:
    """Weights of each row, which sum to 1."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def resampled(weights: np.ndarray, which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the particles that take the place of each; systematic resampling."""
    n, particles = weights.shape
    kept = np.arange(n * particles).reshape(n, particles)
    for row in np.flatnonzero(which):
        points = (rng.random() + np.arange(particles)) / particles
        chosen = np.searchsorted(weights[row].cumsum(), points).clip(0, particles - 1)
        kept[row] = row * particles + chosen
    return kept.reshape(-1)


def psnr(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each image, in dB."""
    errors = (images.astype("float64") - truth) ** 2
    return np.asarray(10.0 * np.log10(255.0**2 / errors.mean(axis=(1, 2, 3))))


def _progress(done: int, total: int) -> None:
    print(f"patch {done} of {total}", flush=True) if done % 7 == 0 else None


if __name__ == "__main__":
    main()
