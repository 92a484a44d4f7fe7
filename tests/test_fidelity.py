"""The adapter of torch-fidelity: the files that it gets, and what is said without it."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.metrics import inception_scores
from attnflow_keras.metrics.fidelity import SCORES


def pictures(n, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 5, channels), dtype="uint8")


@pytest.fixture
def fidelity(monkeypatch):
    """A stand-in for the package, which keeps what it was called with."""
    calls = []

    def calculate_metrics(**given):
        for name in ("input1", "input2"):
            files = sorted(Path(given[name]).iterdir())
            assert {file.suffix for file in files} == {".png"}
            given[name] = np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])
        calls.append(given)
        return {key: np.float64(i) for i, key in enumerate(SCORES.values())}

    module = types.ModuleType("torch_fidelity")
    module.calculate_metrics = calculate_metrics
    monkeypatch.setitem(sys.modules, "torch_fidelity", module)
    return calls


def test_both_sets_are_handed_on_without_loss(fidelity):
    samples, images = pictures(11, 1), pictures(12, 3, 1)
    scores = inception_scores(samples, images, weights="inception.pth", cuda=True)
    (call,) = fidelity
    np.testing.assert_array_equal(call["input1"], samples.repeat(3, axis=-1))
    np.testing.assert_array_equal(call["input2"], images)
    assert all(call[name] for name in ("isc", "fid", "kid", "cuda"))
    assert call["kid_subset_size"] == 11
    assert call["feature_extractor_weights_path"] == "inception.pth"
    assert not call["cache"]
    assert scores == dict(zip(SCORES, map(float, range(5)), strict=True))
    inception_scores(samples, images)
    assert "feature_extractor_weights_path" not in fidelity[1]


def test_bad_sets_are_named(fidelity):
    with pytest.raises(ValueError, match="samples must be uint8"):
        inception_scores(pictures(3) / 255.0, pictures(3))
    with pytest.raises(ValueError, match="images must hold two images or more; got 1"):
        inception_scores(pictures(3), pictures(1))
    assert not fidelity


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ImportError, match=r"FID, IS and KID need torch-fidelity: pip install"):
        inception_scores(pictures(3), pictures(3))
