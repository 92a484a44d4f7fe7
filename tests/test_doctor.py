"""``attnflow doctor``, on small entries in folders."""

import hashlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import zoo
from attnflow_keras.data import bluemarble_sample, downscale, fashion_mnist_sample, save_image
from zoo.cli.app import app
from zoo.cli.doctor import _images, _narrowed
from zoo.errors import ZooError

runner = CliRunner()


def doctor(*arguments):
    result = runner.invoke(app, ["doctor", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folder(tiny_flow, tmp_path):
    zoo.save(tiny_flow, tmp_path / "entry", {"task": "unconditional"})
    return tmp_path / "entry"


@pytest.fixture
def pictures(tmp_path, tiny_images):
    for i in range(6):
        save_image(tmp_path / "pictures" / f"{i}.png", tiny_images[i])
    return tmp_path / "pictures"


def test_help_teaches():
    text = doctor("--help").stdout
    for word in ("Exit status", "IMAGES", "--json", "condition"):
        assert word in text
    assert "doctor" in runner.invoke(app, ["--help"]).stdout


def test_a_sound_entry(folder, pictures, tiny_images):
    result = doctor(folder, pictures, "-n", 4)
    assert result.exit_code == 0
    assert "level_1.step_1.conv1x1" in result.stdout
    assert "4 images" in result.stdout
    assert result.stdout.rstrip().endswith("sound")
    result = doctor(folder, pictures, "--json", "--seed", 2)
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    expected = zoo.load(folder).diagnose(tiny_images[:6], seed=2)
    assert content == json.loads(json.dumps(expected.to_dict()))
    # In a terminal the table fits.
    text = str(expected)
    assert _narrowed(text, 200) == text
    narrow = _narrowed(text, 80).splitlines()
    end = narrow.index("", 2) - 1
    rows, note = narrow[2:end], narrow[end]
    assert max(map(len, rows)) <= 80
    assert len(rows) == 2 + len(expected.layers)
    for word in ("layer", "round trip", "condition", "finite"):
        assert word in rows[0]
    assert "components" not in rows[0]
    assert rows[2].startswith(expected.layers[0].path)
    assert rows[2].endswith("yes")
    assert note.startswith("(components, class, output")


def test_damaged_weights_give_exit_status_1(folder, pictures):
    flow = zoo.load(folder)
    # A file with NaN is not loaded; finite weights can be as bad.
    bias = flow.level_2.step_1.actnorm.bias
    bias.assign(np.full(bias.shape, 3e38))
    flow.level_2.step_1.actnorm.log_scale.assign(np.full(bias.shape, 5.0))
    path = folder / "model.weights.h5"
    flow.save_weights(path, overwrite=True)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "metadata.json").write_text(json.dumps(metadata))
    result = doctor(folder, pictures)
    assert result.exit_code == 1
    last = result.stdout.rstrip().splitlines()[-1]
    assert last.startswith("problem: ")
    assert "level_2.step_1.actnorm" in last
    result = doctor(folder, pictures, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["first_non_finite"] == "level_2.step_1.actnorm"
    # Progress may come before, where it takes long.
    assert result.stderr.splitlines()[-1].startswith("problem: ")


def test_images_by_default(digits, monkeypatch):
    grey = {"name": "a", "dataset": "mnist", "config": {"image_shape": [28, 28, 1]}}
    np.testing.assert_array_equal(_images("a", grey, None, False)[0], digits)
    clothes, _ = _images("a", {**grey, "dataset": "fashion_mnist"}, None, False)
    np.testing.assert_array_equal(clothes, fashion_mnist_sample())
    other = {"name": "a", "dataset": "mnist", "config": {"image_shape": [32, 32, 3]}}
    pictures = np.zeros((5, 32, 32, 3), "uint8")
    monkeypatch.setattr("attnflow_keras.data.sets.mnist.MNIST.images", lambda *_: pictures)
    assert _images("a", other, None, False)[0] is pictures
    tiles = {"name": "a", "task": "super-resolution", "dataset": "bluemarble_sr8"}
    tiles["config"] = {"image_shape": [64, 64, 3], "scale": 8}
    images, small = _images("a", tiles, None, False)
    np.testing.assert_array_equal(images, bluemarble_sample()[0])
    np.testing.assert_array_equal(small, downscale(images, 8))
    with pytest.raises(ValueError, match=r"images of 32x32x3.*attnflow doctor '\./my a' IMAGES"):
        _images("./my a", {**other, "dataset": "my-folder"}, None, False)


def test_errors(folder, tmp_path):
    with pytest.raises(ValueError, match=r"takes images of 8x8x1.*IMAGES"):
        doctor(folder)
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        doctor(folder, tmp_path / "nowhere")
    with pytest.raises(ValueError, match="-n must be an integer of at least 1"):
        doctor(folder, "-n", 0)
    (folder / "model.weights.h5").unlink()
    with pytest.raises(ZooError, match="has no weights"):
        doctor(folder)
