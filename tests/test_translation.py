"""Scores of photos sampled for label maps, on flows whose scores are known."""

import json

import numpy as np
import pytest

from attnflow_keras.metrics import Segmenter, class_means, evaluate_translation, likeness, psnr
from attnflow_keras.metrics.translation import TEMPERATURES

pytest.importorskip("skimage", reason="scikit-image is not installed")

COLOURS = np.array([(20, 30, 160), (40, 160, 50), (220, 200, 120)], "uint8")
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (6, 4, 4)).repeat(4, 1).repeat(4, 2).astype("uint8")


class Coloured:
    """A source, and a flow: the colour of each class, with noise of 20 levels times the
    temperature."""

    def draw(self, count, seed, step):
        rng = np.random.default_rng((seed, step))
        labels = rng.integers(0, 3, (count, 4, 4)).repeat(4, 1).repeat(4, 2).astype("uint8")
        return {"image": self.sample(condition=labels, seed=step), "condition": labels}

    def sample(self, n=None, condition=None, temperature=1.0, seed=None, batch_size=64):
        noise = 20 * temperature * np.random.default_rng(seed).normal(size=(*condition.shape, 3))
        return np.clip(np.rint(COLOURS[condition] + noise), 0, 255).astype("uint8")

    def bits_per_dim(self, images, condition=None, seed=0, batch_size=64, progress=None):
        if progress is not None:
            progress(len(images))
        return np.arange(len(images), dtype="float32") + seed


class Blind(Coloured):
    """The same for other label maps than those it is given."""

    def sample(self, n=None, condition=None, **options):
        return super().sample(condition=(condition + 1) % 3, **options)


@pytest.fixture(scope="module")
def segmenter():
    judge = Segmenter(3, width=8)
    seen = []
    judge.train(Coloured(), steps=60, batch_size=8, progress=seen.append)
    assert seen == list(range(1, 61))
    return judge


def test_the_classifier_learns_and_its_scores_are_those_of_numpy(segmenter):
    photos = Coloured().sample(condition=LABELS, seed=1)
    found = segmenter.predict(photos)
    scores = segmenter.score(photos, LABELS)
    assert scores["accuracy"] == pytest.approx((found == LABELS).mean(), abs=1e-5)
    assert scores["accuracy"] > 0.9
    ratios = [
        ((found == c) & (c == LABELS)).sum() / ((found == c) | (c == LABELS)).sum()
        for c in range(3)
    ]
    assert scores["mean_iou"] == pytest.approx(np.mean(ratios), abs=1e-5)
    assert (scores["classes"], scores["items"]) == (3, 6)
    assert segmenter.score(photos, (LABELS + 1) % 3)["accuracy"] < 0.1
    # Classes that no label has are left out of the mean.
    ones = np.ones_like(LABELS)
    score = segmenter.score(photos, ones)
    assert score["classes"] == 1
    assert score["mean_iou"] == pytest.approx((found == 1).mean(), abs=1e-5)


def test_the_classifier_is_a_function_of_its_seed_and_can_be_kept(segmenter, tmp_path):
    again = Segmenter(3, width=8)
    again.train(Coloured(), steps=60, batch_size=8)
    photos = Coloured().sample(condition=LABELS, seed=1)
    assert (again.predict(photos) == segmenter.predict(photos)).mean() > 0.99
    segmenter.save(tmp_path / "judge.weights.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["judge.weights.h5"]
    loaded = Segmenter(3, width=8)
    loaded.load(tmp_path / "judge.weights.h5")
    np.testing.assert_array_equal(loaded.predict(photos), segmenter.predict(photos))
    with pytest.raises(ValueError, match="holds no weights for 5 classes"):
        Segmenter(5, width=8).load(tmp_path / "judge.weights.h5")


def test_bad_labels(segmenter):
    photos = Coloured().sample(condition=LABELS)
    with pytest.raises(ValueError, match=r"labels must be classes of shape \(6, 16, 16\); got"):
        segmenter.score(photos, LABELS[:, :8])
    with pytest.raises(ValueError, match="labels must hold classes 0 to 2; got 0 to 3"):
        segmenter.score(photos, np.where(LABELS == 2, 3, LABELS))
    with pytest.raises(ValueError, match="classes must be an integer of at least 1; got 0"):
        Segmenter(0)


def test_class_means():
    images = COLOURS[LABELS].astype(int)
    images[:, ::2] += 4
    images[:, 1::2] -= 4
    means = class_means(images.astype("uint8"), LABELS, 4)
    np.testing.assert_array_equal(means[:3], COLOURS)
    np.testing.assert_array_equal(means[3], (128, 128, 128))


def test_a_flow_that_knows_its_labels_is_told_from_one_that_does_not(segmenter):
    images = Coloured().sample(condition=LABELS, seed=9)
    done = []
    result = evaluate_translation(
        Coloured(),
        images,
        LABELS,
        "stub test",
        draws=3,
        samples=2,
        segmenter=segmenter,
        progress=done.append,
    )
    assert json.loads(json.dumps(result)) == result
    assert done[-1] == 6 * (len(TEMPERATURES) + 2 + 3)
    assert [row["temperature"] for row in result["temperatures"]] == list(TEMPERATURES)
    assert [row["seed"] for row in result["temperatures"]] == list(range(len(TEMPERATURES)))
    for row in result["temperatures"]:
        drawn = Coloured().sample(
            condition=LABELS, temperature=row["temperature"], seed=row["seed"]
        )
        assert row["psnr"]["mean"] == pytest.approx(psnr(drawn, images).mean(), abs=1e-4)
        assert row["segmentation"] == segmenter.score(drawn, LABELS)
    assert result["real"] == segmenter.score(images, LABELS)
    bits = result["bits_per_dim"]
    assert (bits["value"], bits["draws"]) == (pytest.approx(3.5), 3)
    assert 5 < result["diversity"]["mean"] < 20
    blind = evaluate_translation(Blind(), images, LABELS, "stub", (0.7,), 1, segmenter=segmenter)
    row = next(r for r in result["temperatures"] if r["temperature"] == 0.7)
    assert blind["temperatures"][0]["segmentation"]["accuracy"] < 0.1
    assert blind["temperatures"][0]["psnr"]["mean"] < row["psnr"]["mean"] - 3
    with pytest.raises(ValueError, match="draws must be an integer of at least 1; got 0"):
        evaluate_translation(Coloured(), images, LABELS, "stub", draws=0)


def test_likeness_of_a_picture_with_itself(segmenter):
    images = Coloured().sample(condition=LABELS, seed=9)
    scores = likeness(images, images, LABELS)
    assert scores["psnr"] == {"mean": None, "standard_error": 0.0, "infinite": 6}
    assert scores["ssim"]["mean"] == pytest.approx(1.0)
    assert "segmentation" not in scores
