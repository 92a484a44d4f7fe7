"""``attnflow translate``, and the other commands on entries for label to photo."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import zoo
from attnflow_keras.data import load_picture, save_image
from attnflow_keras.data.bluemarble import IGBP_PALETTE
from export.runtime import Session
from tests.command_line import attnflow, needs_blue_marble
from tests.helpers import perturb
from tests.model_table import PALETTE, make_cglow, make_dualglow, make_fullglow
from tests.test_label_flows import pairs

pytestmark = pytest.mark.eager

COLOURS = np.array(PALETTE, "uint8")


def save_entry(flow, folder):
    images, labels = pairs(flow, 16)
    flow.adapt({"image": images, "condition": labels})
    zoo.save(perturb(flow, 0.01), folder, {"task": "label-to-photo", "dataset": "mine"})
    return folder


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    return save_entry(make_fullglow(), tmp_path_factory.mktemp("entries") / "fullglow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve photos and label maps, of classes and of colours."""
    folder = tmp_path_factory.mktemp("mine")
    images, labels = pairs(make_fullglow(), 12)
    for kind in ("classes", "colours"):
        (folder / kind).mkdir()
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        save_image(folder / "photos" / f"{i:02}.png", image)
        save_image(folder / "colours" / f"{i:02}.png", COLOURS[label])
        Image.fromarray(label).save(folder / "classes" / f"{i:02}.png")
    return folder


def test_sample_names_the_command_to_use(entry):
    with pytest.raises(ValueError, match="is for label-to-photo: 'attnflow translate' draws"):
        attnflow("sample", entry)


def test_one_photo_is_the_flow_s_own(entry, folder, tmp_path):
    flow = zoo.load(entry)
    labels = np.asarray(Image.open(folder / "classes" / "00.png"))[None]
    expected = flow.sample(condition=labels, temperature=0.5, seed=3)[0]
    for kind in ("classes", "colours"):
        out = tmp_path / f"{kind}.png"
        options = ("-t", 0.5, "--seed", 3)
        result = attnflow("translate", entry, folder / kind / "00.png", "-o", out, *options)
        assert "note:" not in result.stdout
        np.testing.assert_array_equal(load_picture(out), expected)


def test_a_strip_shows_label_map_photos_and_true_photo(entry, folder, tmp_path):
    out = tmp_path / "strip.png"
    photo = ("--photo", folder / "photos" / "01.png")
    label = folder / "classes" / "01.png"
    result = attnflow("translate", entry, label, "-o", out, "--samples", 2, *photo)
    assert "bits/dim given the label map" in result.stdout
    strip = load_picture(out)
    assert strip.shape == (20, 4 * 24 + 3 * 4, 3)
    np.testing.assert_array_equal(strip[:, :24], load_picture(folder / "colours" / "01.png"))
    np.testing.assert_array_equal(strip[:, -24:], load_picture(folder / "photos" / "01.png"))
    assert (strip[:, 28:52] != strip[:, 56:80]).any()


def test_a_palette_of_the_user_s(entry, folder, tmp_path):
    classes = np.asarray(Image.open(folder / "classes" / "02.png"))
    save_image(tmp_path / "mine.png", COLOURS[::-1][classes])
    # The same image as a program that writes indexed ones keeps it.
    Image.open(tmp_path / "mine.png").quantize(3).save(tmp_path / "indexed.png")
    (tmp_path / "palette.json").write_text(json.dumps(COLOURS[::-1].tolist()))
    drawn = []
    for label, options in (
        (folder / "classes" / "02.png", ()),
        (tmp_path / "mine.png", ("--palette", tmp_path / "palette.json")),
        (tmp_path / "indexed.png", ("--palette", tmp_path / "palette.json")),
    ):
        out = tmp_path / "out.png"
        attnflow("translate", entry, label, "-o", out, "--strip", *options)
        drawn.append(load_picture(out))
        # The label map is shown in the entry's colours.
        np.testing.assert_array_equal(drawn[-1][:, :24], COLOURS[classes])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_colours_that_the_entry_does_not_know_are_refused_or_approximated(entry, folder, tmp_path):
    colours = load_picture(folder / "colours" / "00.png").copy()
    colours[:5] = 7
    save_image(tmp_path / "label.png", colours)
    given = ("translate", entry, tmp_path / "label.png", "-o", tmp_path / "out.png")
    with pytest.raises(
        ValueError, match=r"label.png must hold colours of the palette; 120 of 480 .*--nearest"
    ):
        attnflow(*given)
    assert not (tmp_path / "out.png").exists()
    attnflow(*given, "--nearest", "--strip")
    # (7, 7, 7) is nearest to (0, 0, 120).
    assert (load_picture(tmp_path / "out.png")[:5, :24] == COLOURS[0]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("photos/00.png",), ValueError, "00.png must hold colours of the palette"),
        (("photos/00.png", "--palette", "p.json"), ValueError, r"must hold a list of \[red"),
        (("photos/00.png", "--palette", "none.json"), FileNotFoundError, "--palette: no file none"),
        (("photos/00.png", "--palette", "four.json"), ValueError, "at most 3 colours.*; got 4"),
        (("classes/00.png", "--palette", "ok.json"), ValueError, "holds classes already"),
        (("none.png",), FileNotFoundError, "none.png"),
        (("classes/00.png", "-o", "."), IsADirectoryError, "--out must be a file to write"),
        (("classes/00.png", "--photo", "large.png"), ValueError, "large.png is 48x40 .*, expected"),
        (("many.png",), ValueError, "many.png holds class 9; the palette has 3, 0 to 2"),
        (("classes/00.png", "--palette", "p.json"), ValueError, r"must hold a list of \[red"),
        (("classes/00.png", "--palette", "text"), ValueError, "text is no JSON"),
    ],
)
def test_bad_input(entry, folder, tmp_path, monkeypatch, arguments, error, message):
    Image.new("L", (48, 40)).save(folder / "large.png")
    Image.new("L", (24, 20), 9).save(folder / "many.png")
    (folder / "p.json").write_text("[1, 2]")
    (folder / "text").write_text("text")
    (folder / "ok.json").write_text(json.dumps(PALETTE))
    (folder / "four.json").write_text(json.dumps([*PALETTE, [1, 2, 3]]))
    monkeypatch.chdir(folder)
    given = arguments if "-o" in arguments else (*arguments, "-o", tmp_path / "out.png")
    with pytest.raises(error, match=message):
        attnflow("translate", entry, *given)
    assert not list(tmp_path.iterdir())


def test_classes_need_a_palette(folder, tmp_path):
    entry = save_entry_without_palette(tmp_path / "plain")
    with pytest.raises(ValueError, match="is a map of classes and the entry has no palette; give"):
        attnflow("translate", entry, folder / "classes" / "00.png", "-o", tmp_path / "out.png")
    attnflow("translate", entry, folder / "colours" / "00.png", "-o", tmp_path / "out.png")
    of_colours = load_picture(tmp_path / "out.png")
    assert of_colours.shape == (20, 24, 3)
    # With a palette the classes become its colours.
    (tmp_path / "palette.json").write_text(json.dumps(PALETTE))
    given = ("--palette", tmp_path / "palette.json", "-o", tmp_path / "painted.png")
    attnflow("translate", entry, folder / "classes" / "00.png", *given)
    np.testing.assert_array_equal(load_picture(tmp_path / "painted.png"), of_colours)


def save_entry_without_palette(path):
    flow = make_fullglow(palette=None)
    images, labels = pairs(flow, 16)
    flow.adapt({"image": images, "condition": COLOURS[labels]})
    zoo.save(perturb(flow, 0.01), path, {"task": "label-to-photo", "dataset": "mine"})
    return path


def test_entries_of_another_task_are_refused(folder):
    label = folder / "classes" / "00.png"
    with pytest.raises(
        ValueError,
        match="'marflow-mnist' is for unconditional: 'attnflow sample' draws from it; 'attnflow "
        "translate' draws from entries for label-to-photo",
    ):
        attnflow("translate", "marflow-mnist", label)
    with pytest.raises(
        ValueError, match="--labels is for entries for label-to-photo and .*; this one is"
    ):
        attnflow("score", "marflow-mnist", "mnist:test", "--labels", folder / "classes")


def test_photos_are_scored_given_their_label_maps(entry, folder, tmp_path):
    flow = zoo.load(entry)
    images, labels = pairs(flow, 12)
    for kind in ("classes", "colours"):
        out = tmp_path / f"{kind}.csv"
        attnflow("score", entry, folder / "photos", "--labels", folder / kind, "-o", out)
        scores = np.genfromtxt(out, delimiter=",", names=True)["bits_per_dim"]
        np.testing.assert_allclose(scores, flow.bits_per_dim(images, labels), atol=1e-4)
    with pytest.raises(ValueError, match="photos need their label maps.*--labels"):
        attnflow("score", entry, folder / "photos")


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("make", "levels"), [(make_fullglow, 2), (make_cglow, 1), (make_dualglow, 1)]
)
def test_an_export_translates_in_onnxruntime(make, levels, tmp_path):
    flow = make(levels=levels)
    entry = save_entry(flow, tmp_path / "entry")
    images, labels = pairs(flow, 4)
    for i in range(4):
        save_image(tmp_path / "photos" / f"{i}.png", images[i])
        save_image(tmp_path / "labels" / f"{i}.png", COLOURS[labels[i]])
    given = ("--images", tmp_path / "photos", "--labels", tmp_path / "labels")
    attnflow("export", entry, "-o", tmp_path / "onnx", *given)
    assert "ok" in attnflow("verify", tmp_path / "onnx").stdout
    session, flow = Session(tmp_path / "onnx", "cpu"), zoo.load(entry)
    with pytest.raises(ValueError, match="condition must hold classes 0 to 2; got 0 to 3"):
        session.sample(condition=labels[:1] * 0 + np.arange(labels.shape[2], dtype="uint8") % 4)
    with pytest.raises(ValueError, match="integers, classes 0 to 2; got float64"):
        session.sample(condition=labels[:1] / 2)
    with pytest.raises(ValueError, match="condition must hold colours of the palette"):
        session.sample(condition=np.full((1, *images.shape[1:]), 7, "uint8"))
    np.testing.assert_array_equal(
        session.sample(condition=COLOURS[labels], seed=1), session.sample(condition=labels, seed=1)
    )
    np.testing.assert_array_equal(session.transfer(images, labels, labels), images)
    several = session.transfer(images[:1], labels[:1], labels)
    assert (several != flow.transfer(images[:1], labels[:1], labels)).mean() < 1e-3
    bits = session.bits_per_dim(images, labels)
    np.testing.assert_allclose(bits, flow.bits_per_dim(images, labels), atol=2e-5)
    for condition, n in ((labels, None), (labels[:1], 3)):
        drawn = session.sample(n, condition, temperature=0.7, seed=1, as_float=True)
        expected = flow.sample(n, condition, temperature=0.7, seed=1, as_float=True)
        np.testing.assert_allclose(drawn, expected, atol=1e-3)


def test_it_trains_on_the_user_s_photos(entry, folder, tmp_path):
    options = ("--steps", 2, "--batch-size", 4, "--no-jit", "-o", tmp_path / "run")
    data = ("--data", folder / "photos")
    shutil.copytree(folder / "classes", tmp_path / "wrong")
    with pytest.raises(ValueError, match="photos need their label maps; name their folder"):
        attnflow("train", entry, *data, "--fine-tune", *options)
    Image.new("L", (24, 20), 9).save(tmp_path / "wrong" / "00.png")
    with pytest.raises(ValueError, match=r"00.png holds class 9; the palette has 3, 0 to 2"):
        attnflow("train", entry, *data, "--labels", tmp_path / "wrong", "--fine-tune", *options)
    labels = ("--labels", folder / "classes")
    result = attnflow("train", entry, *data, *labels, "--fine-tune", *options)
    assert "fewer than 50 images" in result.stdout
    trained = zoo.load(tmp_path / "run" / "entry")
    command = zoo.info(tmp_path / "run" / "entry")["training"]["command"]
    assert command.endswith(f"--fine-tune --labels {folder / 'classes'}")
    images, classes = pairs(trained, 4)
    before = zoo.load(entry).bits_per_dim(images, classes)
    assert (np.asarray(trained.bits_per_dim(images, classes)) != np.asarray(before)).any()


def test_evaluate_of_the_user_s_photos_says_what_it_leaves_out(entry, folder, tmp_path):
    given = ("evaluate", entry, "--data", folder / "photos", "--labels", folder / "colours")
    options = ("--no-lpips", "--samples", 1, "--draws", 1)
    result = attnflow(*given, *options)
    assert "no class means" in result.stdout
    assert "class means" not in result.stdout.replace("no class means", "")
    with pytest.raises(FileNotFoundError, match="--segmenter: no file .*none.weights.h5"):
        attnflow(*given, *options, "--segmenter", tmp_path / "none.weights.h5")


@needs_blue_marble
def test_evaluate_scores_photos_classifier_and_class_means(tmp_path, monkeypatch):
    monkeypatch.setattr("attnflow_keras.metrics.segmentation.STEPS", 3)
    monkeypatch.setattr(
        "attnflow_keras.metrics.Segmenter.train.__defaults__", (3, 2, 0, None), raising=False
    )
    flow = make_dualglow(image_shape=(64, 64, 3), width=4, palette=IGBP_PALETTE.tolist())
    metadata = {"task": "label-to-photo", "dataset": "bluemarble_landcover"}
    zoo.save(perturb(flow, 0.01), tmp_path / "entry", metadata)
    out, judge = tmp_path / "scores.json", tmp_path / "judge.weights.h5"
    options = ("--no-lpips", "--samples", 2, "--draws", 2, "--segmenter", judge)
    result = attnflow("evaluate", tmp_path / "entry", *options, "-o", out, "--record")
    scores = json.loads(out.read_text())
    assert zoo.info(tmp_path / "entry")["translation"] == scores
    assert (scores["items"], scores["bits_per_dim"]["draws"]) == (120, 2)
    # What the mean colour of each class explains of photos it has not seen.
    assert 15 < scores["baselines"]["class means"]["psnr"]["mean"] < 25
    for word in ("class means", "real photos", "mean IoU", "2 draws of noise", "120 images"):
        assert word in " ".join(result.stdout.split())
    assert "| real photos |" in (tmp_path / "entry" / "card.md").read_text()
    written = judge.stat().st_mtime_ns
    again = attnflow("evaluate", tmp_path / "entry", *options)
    assert judge.stat().st_mtime_ns == written
    assert "real photos" in again.stdout
