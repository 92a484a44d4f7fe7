"""Scores of restorations, on a flow whose scores are known."""

import json

import numpy as np
import pytest

from attnflow_keras.data.bicubic import downscale, upscale
from attnflow_keras.metrics import sampling
from attnflow_keras.metrics.bits_per_dim import evaluate_bits_per_dim
from attnflow_keras.metrics.image_quality import lr_psnr, pixel_diversity, psnr, ssim
from attnflow_keras.metrics.restoration import TEMPERATURES, evaluate_restoration, quality

pytestmark = pytest.mark.eager

pytest.importorskip("skimage", reason="scikit-image is not installed")


class StubFlow:
    """Bicubic interpolation with noise of 100 levels times the temperature."""

    image_shape = (16, 16, 3)

    def __init__(self, scale=4):
        self.scale = scale
        self.calls = []

    def sample(self, n=None, condition=None, temperature=1.0, seed=None, batch_size=64):
        self.calls.append((len(condition), temperature, seed, batch_size))
        restored = upscale(condition, self.scale)
        noise = 100 * temperature * np.random.default_rng(seed).normal(size=restored.shape)
        return np.clip(np.round(restored + noise), 0, 255).astype("uint8")

    def bits_per_dim(self, images, condition=None, seed=0, batch_size=64, progress=None):
        self.scored = condition
        if progress is not None:
            progress(len(images))
        return np.arange(len(images), dtype="float32") + seed


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return upscale(rng.integers(40, 216, (5, 4, 4, 3), dtype="uint8"), 4)


@pytest.fixture(scope="module")
def conditions(images):
    return downscale(images, 4)


def brightness(a, b, batch_size=64):
    """In place of LPIPS."""
    return np.abs(a.mean(axis=(1, 2, 3)) - b.mean(axis=(1, 2, 3))).astype("float32")


def check_summary(summary, values):
    assert summary["mean"] == pytest.approx(np.mean(values), abs=6e-6)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert summary["standard_error"] == pytest.approx(error, abs=6e-6)
    assert "infinite" not in summary


def test_quality(images, conditions):
    restored = np.clip(images.astype("int64") + 9, 0, 255).astype("uint8")
    scores = quality(restored, images, conditions, brightness)
    assert list(scores) == ["psnr", "ssim", "lr_psnr", "lpips"]
    check_summary(scores["psnr"], psnr(restored, images))
    check_summary(scores["ssim"], ssim(restored, images))
    check_summary(scores["lr_psnr"], lr_psnr(restored, conditions))
    check_summary(scores["lpips"], brightness(restored, images))
    assert "lpips" not in quality(restored, images, conditions)


def test_infinite_values_are_left_out_and_counted(images, conditions):
    restored = images.copy()
    scores = quality(restored, images, conditions)
    assert scores["psnr"] == {"mean": None, "standard_error": 0.0, "infinite": 5}
    assert scores["ssim"] == {"mean": 1.0, "standard_error": 0.0}
    restored[:2] = 255 - restored[:2]
    expected = psnr(restored, images)[:2]
    score = quality(restored, images, conditions)["psnr"]
    assert score.pop("infinite") == 3
    check_summary(score, expected)
    # RFC 8259 knows neither Infinity nor NaN.
    json.dumps(quality(images, images, conditions), allow_nan=False)


def test_scores_at_each_temperature(images, conditions):
    flow = StubFlow()
    result = evaluate_restoration(
        flow, images, conditions, "stub test", (0.2, 0.5), seed=7, lpips=brightness, batch_size=2
    )
    assert flow.calls == [(5, 0.2, 7, 2), (5, 0.5, 8, 2)]
    restored = [StubFlow().sample(None, conditions, t, s) for t, s in ((0.2, 7), (0.5, 8))]
    rows = result["temperatures"]
    assert [(row["temperature"], row["seed"]) for row in rows] == [(0.2, 7), (0.5, 8)]
    for row, pictures in zip(rows, restored, strict=True):
        for name, score in quality(pictures, images, conditions, brightness).items():
            assert row[name] == score
    average = result["average"]
    check_summary(average["psnr"], np.mean([psnr(r, images) for r in restored], axis=0))
    check_summary(average["lpips"], np.mean([brightness(r, images) for r in restored], axis=0))
    assert average["psnr"]["mean"] == pytest.approx(
        np.mean([row["psnr"]["mean"] for row in rows]), abs=1e-5
    )
    assert rows[0]["psnr"]["mean"] > rows[1]["psnr"]["mean"]


def test_the_rest_of_the_result(images, conditions):
    flow = StubFlow()
    result = evaluate_restoration(flow, images, conditions, "stub test", seed=3)
    assert [row["temperature"] for row in result["temperatures"]] == list(TEMPERATURES)
    assert [row["seed"] for row in result["temperatures"]] == list(range(3, 12))
    assert result["diversity"] is None
    assert "lpips" not in result["average"]
    assert (result["items"], result["scale"], result["seed"]) == (5, 4, 3)
    assert result["image_shape"] == [16, 16, 3]
    bits = result["bits_per_dim"]
    assert (bits["value"], bits["items"], bits["split"], bits["dims"]) == (5.0, 5, "stub test", 768)
    np.testing.assert_array_equal(flow.scored, conditions)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {"psnr", "ssim", "lr_psnr", "lpips", "diversity"} <= set(result["conventions"])
    assert result == evaluate_restoration(StubFlow(), images, conditions, "stub test", seed=3)


def test_diversity(images, conditions):
    flow = StubFlow()
    options = {"samples": 3, "diversity_temperature": 0.2, "diversity_items": 2}
    result = evaluate_restoration(flow, images, conditions, "stub test", (0.9,), **options)
    assert flow.calls[1:] == [(2, 0.2, seed, 64) for seed in (1, 2, 3)]
    chosen = conditions[[0, 2]]
    draws = np.stack([StubFlow().sample(None, chosen, 0.2, s) for s in (1, 2, 3)], axis=1)
    found = result["diversity"]
    expected = {"temperature": 0.2, "samples": 3, "items": 2, "seed": 1}
    assert {key: found.pop(key) for key in expected} == expected
    check_summary(found, pixel_diversity(draws))
    # Noise of 20 levels, hardly clipped; the standard deviation of three is biased by 0.886.
    assert 15 < found["mean"] < 20


def test_blocks_and_progress(images, conditions, monkeypatch):
    monkeypatch.setattr(sampling, "BLOCK", 2)
    flow, told = StubFlow(), []
    result = evaluate_restoration(
        flow,
        images,
        conditions,
        "stub test",
        (0.1, 0.2),
        samples=2,
        progress=told.append,
        diversity_items=3,
    )
    seeds = [seed for _, _, seed, _ in flow.calls]
    assert seeds == list(range(10))
    assert [size for size, _, _, _ in flow.calls] == [2, 2, 1, 2, 2, 1, 2, 1, 2, 1]
    assert [row["seed"] for row in result["temperatures"]] == [0, 3]
    assert result["diversity"]["seed"] == 6
    assert told == [2, 4, 5, 7, 9, 10, 12, 13, 15, 16, 21]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((5, 16, 16, 3))}, "images must be uint8"),
        (
            {"conditions": np.zeros((5, 4, 4), "uint8")},
            r"conditions must have shape \(n, h, w, c\)",
        ),
        ({"conditions": np.zeros((4, 4, 4, 3), "uint8")}, "images must have shape .* conditions"),
        ({"conditions": np.zeros((5, 3, 3, 3), "uint8")}, "images must have shape .* conditions"),
        ({"temperatures": ()}, "temperatures must be one number or more"),
        ({"temperatures": 0.9}, r"temperatures must be one number or more; got 0\.9"),
        ({"temperatures": (0.1, -1)}, "each of temperatures must be a number of .* 0; got -1"),
        ({"diversity_temperature": np.nan}, "diversity_temperature must be a number of at least 0"),
        ({"seed": None}, "seed must be an integer of at least 0; got None"),
        ({"samples": 0}, "samples must be an integer of at least 1; got 0"),
        ({"batch_size": 1.5}, "batch_size must be an integer of at least 1"),
        ({"diversity_items": True}, "diversity_items must be an integer of at least 1"),
    ],
)
def test_errors_come_before_sampling(images, conditions, changes, message):
    flow = StubFlow()
    arguments = {"images": images, "conditions": conditions, "split": "test", **changes}
    with pytest.raises(ValueError, match=message):
        evaluate_restoration(flow, **arguments)
    assert flow.calls == []


def test_a_flow_of_another_scale(images, conditions):
    with pytest.raises(ValueError, match=r"restored and images .* got \(5, 8, 8, 3\) and \(5, 16"):
        evaluate_restoration(StubFlow(scale=2), images, conditions, "stub test")


def test_bits_per_dim_with_conditions(images, conditions):
    flow = StubFlow()
    metric = evaluate_bits_per_dim(flow, images, "stub test", draws=2, condition=conditions)
    assert metric["value"] == 2.5
    assert flow.scored is conditions
    with pytest.raises(ValueError, match="condition must be one for each of 5 images; got 4"):
        evaluate_bits_per_dim(flow, images, "stub test", condition=conditions[:4])


def test_temperature_0_is_not_averaged(images, conditions):
    def average(temperatures):
        return evaluate_restoration(StubFlow(), images, conditions, "stub", temperatures)["average"]

    assert average((0.5, 0.0)) == average((0.5,))
    assert average((0.0,))["psnr"]["mean"] is not None
