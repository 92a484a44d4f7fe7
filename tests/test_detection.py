"""Out-of-distribution detection."""

import itertools
import json

import numpy as np
import pytest

import zoo
from attnflow_keras import detection
from attnflow_keras.core.noise import dequantize, quantize
from attnflow_keras.data import save_image
from attnflow_keras.detection.detector import POINTS, RATES, Detector
from attnflow_keras.detection.statistics import NAMES, png_size
from tests.command_line import succeed
from tests.conftest import make_tiny_flow

pytestmark = pytest.mark.eager


class Independent:
    """A flow in closed form: values are independent, normal of mean 0 and deviation 0.1."""

    def dequantize(self, images, center):
        assert center
        return dequantize(images, 0.5)

    def encode(self, x, condition, batch_size):
        return (x / 0.1,), np.full(len(x), -x[0].size * np.log(0.1))


def images_of(deviation, n, seed=0):
    x = deviation * np.random.default_rng(seed).normal(size=(n, 8, 8, 1))
    return quantize(x)


FLOW = Independent()


@pytest.fixture(scope="module")
def detector():
    return Detector.calibrate(FLOW, images_of(0.1, 400))


def test_auroc_counts_pairs():
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 9, 40), rng.integers(2, 12, 30)
    pairs = [(b > a) + 0.5 * (b == a) for a, b in itertools.product(inside, outside)]
    area, error = detection.auroc(inside, outside)
    assert area == pytest.approx(np.mean(pairs))
    assert detection.auroc(outside, inside)[0] == pytest.approx(1 - area)
    assert 0 < error < 0.1
    assert detection.auroc([0, 1], [2, 3]) == (1.0, 0.0)
    assert detection.auroc([1, 1], [1, 1])[0] == 0.5


def test_the_error_of_auroc_is_its_spread_over_draws():
    rng = np.random.default_rng(0)
    drawn = [detection.auroc(rng.normal(size=50), rng.normal(1, 1, 80)) for _ in range(300)]
    areas, errors = np.array(drawn).T
    assert np.mean(errors) == pytest.approx(areas.std(), rel=0.15)
    # Of normal distributions one apart: Phi(1 / sqrt(2)).
    assert areas.mean() == pytest.approx(0.7602, abs=0.01)


@pytest.mark.parametrize("wrong", [[1.0], [[1.0, 2.0]], [1.0, np.nan]])
def test_auroc_refuses_what_is_no_list_of_scores(wrong):
    with pytest.raises(ValueError, match="inside must be at least two scores"):
        detection.auroc(wrong, [1.0, 2.0])


def test_statistics_are_those_of_the_flow(tiny_flow, tiny_images):
    images = tiny_images[:5]
    found = detection.statistics_of(tiny_flow, images, batch_size=2)
    scored = tiny_flow.bits_per_dim(tiny_flow.dequantize(images, center=True))
    np.testing.assert_allclose(found["bits_per_dim"], np.asarray(scored), atol=1e-4)
    parts = found["latent_bits"] + found["log_det_bits"]
    np.testing.assert_allclose(parts, found["bits_per_dim"])
    assert found["png_bits"][0] == pytest.approx(8 * png_size(images[0]) / 64)
    alone = detection.statistics_of(tiny_flow, images[3:4])
    for name in NAMES:
        np.testing.assert_allclose(alone[name], found[name][3:4], atol=1e-5)
    with pytest.raises(ValueError, match="images must be uint8"):
        detection.statistics_of(tiny_flow, images / 256)


def test_padded_images_count_their_own_dimensions(tiny_images):
    flow = make_tiny_flow(image_shape=(4, 4, 1), preprocess={"pad": 2, "replicate": 2})
    images = tiny_images[:2, 2:6, 2:6]
    found = detection.statistics_of(flow, images)
    scored = flow.bits_per_dim(flow.dequantize(images, center=True))
    np.testing.assert_allclose(found["bits_per_dim"], np.asarray(scored), rtol=1e-4)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        # Less spread is more probable, and as wrong: likelihood alone is the wrong way round.
        (images_of(0.05, 40, 2), {"likelihood": 0, "typicality": 1, "dose": 1}),
        (images_of(0.2, 40, 2), {"likelihood": 1, "typicality": 1, "dose": 1}),
        (np.full((40, 8, 8, 1), 128, "uint8"), {"likelihood": 0, "typicality": 1, "dose": 1}),
        (images_of(0.1, 4000, 2), dict.fromkeys(detection.SCORES, 0.5)),
    ],
    ids=["less spread", "more spread", "the mean itself", "the same"],
)
def test_scores_are_right_where_the_density_is_known(detector, others, expected):
    held_out = detector.scores(FLOW, images_of(0.1, 1000, 1))
    found = detector.scores(FLOW, others)
    for score, area in expected.items():
        assert detection.auroc(held_out[score], found[score])[0] == pytest.approx(area, abs=0.05)


def statistics(bits, png):
    parts = {"latent_bits": 0.6 * bits, "log_det_bits": 0.4 * bits, "png_bits": png}
    return {"bits_per_dim": bits, **parts}


def test_scores_of_known_distributions():
    """Normal statistics: each score has a value that can be computed by hand."""
    rng = np.random.default_rng(0)
    bits, png = 2.0 + 0.1 * rng.normal(size=30_000), 3.0 + 0.2 * rng.normal(size=30_000)
    found = Detector.from_statistics(statistics(bits, png))
    # Simple, complex and typical images, and one whose parts are typical but not together.
    at = found.from_found(statistics(np.array([1.5, 2.5, 2.0]), np.array([2.5, 3.5, 3.0])))
    np.testing.assert_allclose(at["likelihood"], [1.5, 2.5, 2.0])
    np.testing.assert_allclose(at["typicality"], [0.5, 0.5, 0.0], atol=0.01)
    np.testing.assert_allclose(at["complexity"], -1.0)
    assert (at["dose"][:2] > at["dose"][2] + 20).all()
    # Four normal densities at their mode, each made wider by the kernel of the estimate.
    wider = np.sqrt(2 * np.pi * (1 + (0.9 * POINTS**-0.2) ** 2))
    density = sum(np.log(deviation * wider) for deviation in (0.1, 0.06, 0.04, 0.2))
    assert at["dose"][2] == pytest.approx(density, abs=0.15)
    for rate, deviations in ((0.1, 1.2816), (0.05, 1.6449), (0.01, 2.3263)):
        assert found.threshold("likelihood", rate) == pytest.approx(2 + 0.1 * deviations, abs=0.02)
    assert found.threshold("typicality", 0.05) == pytest.approx(0.196, abs=0.02)


def test_thresholds_flag_the_part_that_they_promise():
    rng = np.random.default_rng(1)
    bits, png = rng.normal(size=8000), rng.normal(size=8000)
    found = Detector.from_statistics(statistics(bits[:4000], png[:4000]))
    fresh = found.from_found(statistics(bits[4000:], png[4000:]))
    for score in detection.SCORES:
        for rate in RATES:
            flagged = found.flags(fresh, score, rate).mean()
            assert flagged == pytest.approx(rate, abs=4 * (rate / 2000) ** 0.5), (score, rate)


def test_a_statistic_without_spread_is_no_obstacle():
    same = np.ones(100)
    found = Detector.from_statistics(statistics(same, same))
    at = found.from_found(statistics(np.array([1.0, 1.1]), np.array([1.0, 1.0])))
    assert np.isfinite(at["dose"]).all()
    assert at["dose"][1] > at["dose"][0]


def test_json_there_and_back(detector):
    content = json.loads(json.dumps(detector.to_json()))
    again = Detector.from_json(content)
    before, after = (d.scores(FLOW, images_of(0.1, 4)) for d in (detector, again))
    for score in detection.SCORES:
        np.testing.assert_allclose(after[score], before[score], atol=1e-3)
    assert len(content["points"]["bits_per_dim"]) == POINTS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "format 2"),
        ({"format": None}, "no format"),
        ({"images": "x"}, "images"),
        ({"points": {}}, "points.bits_per_dim must be 256 numbers"),
        ({"thresholds": {}}, "thresholds.likelihood"),
    ],
)
def test_hostile_json_is_refused(detector, changes, reason):
    with pytest.raises(ValueError, match=reason):
        Detector.from_json({**detector.to_json(), **changes})
    with pytest.raises(ValueError, match="no format"):
        Detector.from_json([])


def test_what_is_refused_is_named(detector):
    with pytest.raises(ValueError, match="images must be at least 40; got 3"):
        Detector.calibrate(FLOW, images_of(0.1, 3))
    scores = detector.scores(FLOW, images_of(0.1, 2))
    with pytest.raises(ValueError, match=r"score must be one of likelihood.*got 'x'"):
        detector.flags(scores, "x")
    with pytest.raises(ValueError, match=r"rate must be one of 0.1.*got 0.5"):
        detector.flags(scores, "dose", 0.5)


def test_the_command(tiny_flow, tiny_images, tmp_path):
    entry = zoo.save(tiny_flow, tmp_path / "entry", {"task": "unconditional"})
    np.save(tmp_path / "held-out.npy", tiny_images[:128])
    noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype="uint8")
    for i, image in enumerate([*tiny_images[128:131], *noise]):
        save_image(tmp_path / "in" / f"{i}.png", image)
    with pytest.raises(ValueError, match=r"has no detection.json.*--calibrate"):
        succeed("detect", entry, tmp_path / "in")
    text = succeed("detect", entry, "--calibrate", tmp_path / "held-out.npy").stdout
    assert "detection.json" in text
    detector = zoo.detector(entry)
    assert detector.images == 128
    kept = (entry / "detection.json").read_text()
    (entry / "detection.json").write_text(kept.replace(zoo.info(entry)["sha256"], "0" * 64))
    with pytest.raises(zoo.ZooError, match="made with other weights"):
        zoo.detector(entry)
    (entry / "detection.json").write_text(kept)
    out = tmp_path / "scores.csv"
    figures = json.loads(succeed("detect", entry, tmp_path / "in", "-o", out, "--json").stdout)
    assert figures["images"] == 5
    assert figures["score"] == "dose"
    assert figures["flagged"] == len(figures["flagged_files"]) >= 2
    assert {"3.png", "4.png"} <= set(figures["flagged_files"])
    rows = out.read_text().splitlines()
    assert rows[0] == "index,likelihood,typicality,complexity,dose,flagged,file"
    assert [row.split(",")[-2:] for row in rows[4:]] == [["1", "3.png"], ["1", "4.png"]]
    against = ("--against", tmp_path / "held-out.npy")
    area = json.loads(succeed("detect", entry, tmp_path / "in", *against, "--json").stdout)["auroc"]
    assert set(area) == set(detection.SCORES)
    text = succeed("detect", entry, tmp_path / "in", "--score", "typicality").stdout
    assert "flagged by typicality" in text
    assert "  4.png\n" in text
