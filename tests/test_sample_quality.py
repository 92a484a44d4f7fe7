"""Distances between sets of images, against what they are known to be."""

import os
from pathlib import Path

import numpy as np
import pytest

from attnflow_keras.metrics import VGG16Features, class_score, frechet_distance, kernel_distance
from attnflow_keras.metrics.vgg16 import BLOCKS, FILE, expected_shapes

FOLDER = Path(os.environ.get("ATTNFLOW_DATA", "nowhere"))


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_equal_sets_are_at_no_distance():
    x = normal(300, 8)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    # Fewer images than features: the covariances have no full rank.
    few = normal(5, 20)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def with_moments(x, mean, covariance):
    """A set with exactly these moments."""
    x = x - x.mean(axis=0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return mean + white @ np.linalg.cholesky(covariance).T


def test_frechet_distance_of_known_moments():
    mean_a, mean_b = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    cov_a, cov_b = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 9.0])
    a, b = with_moments(normal(50, 3), mean_a, cov_a), with_moments(normal(70, 3, 1), mean_b, cov_b)
    # Of diagonal covariances: squares of differences of means, and of standard deviations.
    assert frechet_distance(a, b) == pytest.approx(10 + 1 + 1)
    assert frechet_distance(b, a) == pytest.approx(12)
    turn = np.linalg.qr(normal(3, 3, 2))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(12)


def test_frechet_distance_of_covariances_that_do_not_commute():
    from scipy.linalg import sqrtm

    roots = [normal(4, 4, seed) for seed in (0, 1)]
    cov_a, cov_b = (root @ root.T + np.eye(4) for root in roots)
    a, b = (with_moments(normal(40, 4, i), np.zeros(4), c) for i, c in enumerate((cov_a, cov_b)))
    expected = np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_one_feature():
    a = np.array([[-1.0], [1.0]])  # of variance 2
    assert frechet_distance(a, 2 * a + 3) == pytest.approx(9 + 2)


def test_kernel_distance_is_0_in_the_mean_for_equal_distributions():
    value, error = kernel_distance(normal(4000, 4), normal(4000, 4, 1), block=200)
    assert abs(value) < 3 * error
    assert kernel_distance(normal(4000, 4), normal(4000, 4, 1) + 0.3, block=200)[0] > 5 * error


def test_kernel_distance_of_shifted_normals():
    """With one feature E (x y + 1)^3 is a sum of products of the moments of x and y."""
    shift = 0.5

    def mean_kernel(m, n):
        moments_x, moments_y = ((1, k, k**2 + 1, k**3 + 3 * k) for k in (m, n))
        return np.sum(np.multiply([1, 3, 3, 1], moments_x) * moments_y)

    known = mean_kernel(0, 0) + mean_kernel(shift, shift) - 2 * mean_kernel(0, shift)
    value, error = kernel_distance(normal(20_000, 1), normal(20_000, 1, 1) + shift, block=250)
    assert value == pytest.approx(known, abs=4 * error)
    assert error < 0.2 * known


def test_kernel_distance_of_few_images_has_no_error():
    value, error = kernel_distance(normal(10, 2), normal(8, 2, 1))
    assert np.isfinite(value)
    assert np.isnan(error)


def test_class_score_is_the_number_of_classes_that_are_told_apart():
    for classes in (1, 3, 10):
        assert class_score(np.eye(10)[:classes].repeat(4, axis=0)) == pytest.approx(classes)
    assert class_score(np.full((7, 10), 0.1)) == pytest.approx(1)
    # Two classes, right with 0.9: the mutual information is log 2 - H(0.1).
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert class_score(p) == pytest.approx(2 * np.exp(-entropy))


@pytest.mark.parametrize("function", [frechet_distance, kernel_distance])
@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (np.ones(3), np.ones((3, 2)), "a must be finite features"),
        (np.ones((3, 2)), np.ones((1, 2)), "b must be finite features"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "a must be finite features"),
        (np.ones((3, 2)), np.ones((3, 4)), "the same number of features"),
    ],
)
def test_what_is_no_set_of_features_is_refused(function, a, b, reason):
    with pytest.raises(ValueError, match=reason):
        function(a, b)


@pytest.mark.parametrize("wrong", [np.ones((2, 2)), -np.eye(2), np.ones(3) / 3, np.ones((0, 3))])
def test_what_is_no_distribution_is_refused(wrong):
    with pytest.raises(ValueError, match="probabilities must be distributions"):
        class_score(wrong)


@pytest.fixture
def small(tmp_path):
    """Weights of the first two blocks, random."""
    rng = np.random.default_rng(0)
    shapes = expected_shapes(2)
    path = tmp_path / "vgg16.npz"
    np.savez(path, **{k: rng.normal(0, 0.1, s).astype("float32") for k, s in shapes.items()})
    return path


def in_numpy(images, path):
    """The same features by shifting and adding."""
    weights = np.load(path)
    x = images / 127.5 - 1.0 - np.array([-0.030, -0.088, -0.188])
    x = x / np.array([0.458, 0.448, 0.450])
    layer = 0
    for i, block in enumerate(BLOCKS[:2]):
        if i:
            n, h, w, c = x.shape
            x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
        for _ in block:
            kernel = weights[f"VGG16_0/Conv_{layer}/kernel"]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            h, w = x.shape[1:3]
            x = sum(
                padded[:, a : a + h, b : b + w] @ kernel[a, b] for a in range(3) for b in range(3)
            )
            x = np.maximum(x + weights[f"VGG16_0/Conv_{layer}/bias"], 0)
            layer += 1
    return x.mean((1, 2))


@pytest.mark.eager
def test_features_are_those_of_the_network(small):
    images = np.random.default_rng(1).integers(0, 256, (3, 7, 8, 3), dtype="uint8")
    features = VGG16Features(small, block=2)
    found = features(images, batch_size=2)
    np.testing.assert_allclose(found, in_numpy(images, small), rtol=1e-4, atol=1e-4)
    grey = images[..., :1]
    np.testing.assert_allclose(features(grey), features(grey.repeat(3, axis=-1)), atol=1e-5)


@pytest.mark.eager
def test_what_features_refuse_is_named(small, tmp_path):
    features = VGG16Features(small, block=2)
    with pytest.raises(ValueError, match=r"images must be uint8 .* sides of at least 2"):
        features(np.zeros((2, 1, 8, 3), "uint8"))
    with pytest.raises(ValueError, match=r"images must be uint8"):
        features(np.zeros((2, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="block must be an integer from 1 to 5"):
        VGG16Features(small, block=6)
    with pytest.raises(ValueError, match="no weights of VGG16"):
        VGG16Features(small, block=3)
    with pytest.raises(FileNotFoundError, match="VGG16 has no weights"):
        VGG16Features(tmp_path / "nothing.npz")


@pytest.mark.skipif(not (FOLDER / FILE).is_file(), reason=f"needs ATTNFLOW_DATA with {FILE}")
def test_the_published_weights_put_noise_farther_than_other_digits(digits):
    features = VGG16Features(block=3)
    noise = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype="uint8")
    a, b, c = (features(x) for x in (digits[:64], digits[64:128], noise))
    assert 5 * frechet_distance(a, b) < frechet_distance(a, c)
    assert kernel_distance(a, b)[0] < 0.2 * kernel_distance(a, c)[0]
