"""``attnflow restore`` and ``attnflow evaluate``."""

import json

import numpy as np
import pytest
from PIL import Image

import zoo
from attnflow_keras.data import (
    bluemarble_sample,
    downscale,
    load_picture,
    save_image,
    upscale,
)
from export.runtime import Session
from tests.command_line import attnflow, needs_blue_marble
from tests.helpers import perturb
from tests.model_table import make_srflow
from zoo.folder import update_metadata

pytestmark = pytest.mark.eager


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sr") / "entry"
    flow = perturb(make_srflow(image_shape=(16, 16, 3)), 0.01)
    zoo.save(flow, folder, {"task": "super-resolution", "dataset": "bluemarble_sr8"})
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[:28, :36] / 36
    large = (127 + 90 * np.stack([np.sin(9 * x), np.cos(7 * y), x - y], axis=-1)).astype("uint8")
    save_image(folder / "large.png", large)
    save_image(folder / "small.png", downscale(large, 4))
    return folder


def test_one_restoration_is_the_flow_s_own(entry, pictures, tmp_path):
    out = tmp_path / "out.png"
    result = attnflow("restore", entry, pictures / "small.png", "-o", out, "-t", 0.5, "--seed", 3)
    assert "wrote" in result.stdout
    small = load_picture(pictures / "small.png")
    expected = zoo.load(entry).restore(small, 1, 0.5, 3)[0]
    np.testing.assert_array_equal(load_picture(out), expected)


def test_a_strip_shows_small_bicubic_restored_and_true(entry, pictures, tmp_path):
    out = tmp_path / "strip.png"
    reference = ("--reference", pictures / "large.png")
    result = attnflow(
        "restore", entry, pictures / "small.png", "-o", out, "--samples", 2, *reference
    )
    assert "bicubic: PSNR" in result.stdout
    strip = load_picture(out)
    assert strip.shape == (28, 5 * 36 + 4 * 4, 3)
    small = load_picture(pictures / "small.png")
    np.testing.assert_array_equal(strip[::4, :36:4], small)
    np.testing.assert_array_equal(strip[:, 40:76], upscale(small, 4))
    np.testing.assert_array_equal(strip[:, -36:], load_picture(pictures / "large.png"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("small.png", "--reference", "small.png"), ValueError, "4 times as large as .* 28x36; it"),
        (("none.png",), FileNotFoundError, "none.png"),
        (("small.png", "-o", "."), IsADirectoryError, "--out must be a file to write"),
        (("small.png", "--tile", "4", "--overlap", "3"), ValueError, "at most half of tile=4"),
    ],
)
def test_bad_input(entry, pictures, tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(pictures)
    given = arguments if "-o" in arguments else (*arguments, "-o", tmp_path / "out.png")
    with pytest.raises(error, match=message):
        attnflow("restore", entry, *given)
    assert not list(tmp_path.iterdir())


def test_entries_of_another_task_are_refused(pictures):
    for command in (
        ("restore", "marflow-mnist", pictures / "small.png"),
        ("evaluate", "marflow-mnist"),
    ):
        with pytest.raises(ValueError, match="'marflow-mnist' is for unconditional"):
            attnflow(*command)


def test_scores_are_given_the_images_made_small(entry, tmp_path):
    images = bluemarble_sample()[0][:4, :16, :16]
    np.save(tmp_path / "images.npy", images)
    attnflow("score", entry, tmp_path / "images.npy", "-o", tmp_path / "scores.csv")
    scores = np.genfromtxt(tmp_path / "scores.csv", delimiter=",", names=True)
    expected = zoo.load(entry).bits_per_dim(images, downscale(images, 4))
    np.testing.assert_allclose(scores["bits_per_dim"], expected, atol=1e-4)


def test_doctor_looks_at_a_conditional_entry(entry, tmp_path):
    np.save(tmp_path / "images.npy", bluemarble_sample()[0][:4, :16, :16])
    result = attnflow("doctor", entry, tmp_path / "images.npy")
    assert result.exit_code == 0
    assert "injector" in result.stdout.lower()


@pytest.mark.compiled
def test_an_export_restores_in_onnxruntime(entry, tmp_path):
    images = bluemarble_sample()[0][:4, :16, :16]
    np.save(tmp_path / "images.npy", images)
    with pytest.raises(ValueError, match="none of the images .* 16x16x3 with --images"):
        attnflow("export", entry, "-o", tmp_path / "onnx")
    attnflow("export", entry, "-o", tmp_path / "onnx", "--images", tmp_path / "images.npy")
    assert "ok" in attnflow("verify", tmp_path / "onnx").stdout
    session, flow, small = Session(tmp_path / "onnx", "cpu"), zoo.load(entry), downscale(images, 4)
    bits = session.bits_per_dim(images, small)
    np.testing.assert_allclose(bits, flow.bits_per_dim(images, small), atol=2e-5)
    for condition, n in ((small, None), (small[:1], 3)):
        restored = session.sample(n, condition, temperature=0.7, seed=1, as_float=True)
        expected = flow.sample(n, condition, temperature=0.7, seed=1, as_float=True)
        np.testing.assert_allclose(restored, expected, atol=1e-3)
    assert "sample" in attnflow("bench", tmp_path / "onnx", "--batches", 1, "--seconds", 0.1).stdout


@needs_blue_marble
def test_evaluate_scores_the_split_and_the_baselines(tmp_path):
    flow = make_srflow(image_shape=(64, 64, 3), scale=8, levels=1, width=4)
    zoo.save(
        perturb(flow, 0.01),
        tmp_path / "entry",
        {"task": "super-resolution", "dataset": "bluemarble_sr8"},
    )
    out = tmp_path / "scores.json"
    result = attnflow(
        "evaluate", tmp_path / "entry", "--no-lpips", "--samples", 2, "-o", out, "--record"
    )
    assert zoo.info(tmp_path / "entry")["restoration"] == json.loads(out.read_text())
    card = (tmp_path / "entry" / "card.md").read_text()
    assert "| temperature 0.9 |" in card
    zoo.load(tmp_path / "entry")
    scores = json.loads(out.read_text())
    assert scores["items"] == 120
    assert [row["temperature"] for row in scores["temperatures"]] == [
        pytest.approx(i / 10) for i in range(10)
    ]
    assert scores["baselines"]["bicubic"]["psnr"]["mean"] == pytest.approx(25.61, abs=0.01)
    assert f"{scores['bits_per_dim']['value']:.4f}" in result.stdout
    for word in ("bicubic", "encoder (L1)", "temperature 0.9", "LR-PSNR", "120 images"):
        assert word in result.stdout
    with pytest.raises(ValueError, match="SPLIT must be test or validation; got 'train'"):
        attnflow("evaluate", tmp_path / "entry", "train")


def test_evaluate_scores_the_user_s_pictures(entry, tmp_path):
    flow = zoo.load(entry)
    rng = np.random.default_rng(0)
    for i in range(3):
        picture = rng.integers(0, 256, flow.image_shape, dtype="uint8")
        save_image(tmp_path / "mine" / f"{i}.png", picture)
    out = tmp_path / "scores.json"
    options = ("--no-lpips", "--samples", 1, "--data", tmp_path / "mine")
    attnflow("evaluate", entry, *options, "-o", out)
    scores = json.loads(out.read_text())
    assert (scores["items"], scores["split"]) == (3, str(tmp_path / "mine"))
    with pytest.raises(ValueError, match="--record keeps scores on the entry's own data set"):
        attnflow("evaluate", entry, *options, "--record")
    update_metadata(entry, {"dataset": "mine"})
    with pytest.raises(ValueError, match="'mine' is no data set with splits; name images with"):
        attnflow("evaluate", entry, "--no-lpips")
    update_metadata(entry, {"dataset": "bluemarble_sr8"})


def test_pictures_may_be_grey_or_have_alpha(entry, tmp_path):
    Image.new("RGBA", (6, 5), (10, 200, 30, 128)).save(tmp_path / "alpha.png")
    Image.new("L", (6, 5), 77).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=r"alpha.png has transparent pixels; .*--background"):
        attnflow("restore", entry, tmp_path / "alpha.png", "-o", tmp_path / "alpha-out.png")
    for name, options in (("alpha", ("--background", "white")), ("grey", ())):
        given = (tmp_path / f"{name}.png", "-o", tmp_path / f"{name}-out.png", *options)
        attnflow("restore", entry, *given)
        assert load_picture(tmp_path / f"{name}-out.png").shape == (20, 24, 3)
