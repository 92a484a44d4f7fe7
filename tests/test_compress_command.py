"""``attnflow compress`` and ``decompress``."""

import json
import re

import numpy as np
import pytest

import zoo
from attnflow_keras import coding
from attnflow_keras.data import load_images, save_image
from tests.command_line import printed
from tests.conftest import make_tiny_flow
from tests.helpers import perturb
from tests.test_coding import make

pytestmark = pytest.mark.eager


@pytest.fixture(scope="module")
def flow():
    return make()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (4, 4, 4, 1), dtype="uint8")


@pytest.fixture
def entry(flow, tmp_path):
    return zoo.save(flow, tmp_path / "zoo" / "tiny", {"task": "unconditional"})


def test_a_folder_there_and_back(entry, images, tmp_path, monkeypatch):
    for name, image in zip(("b", "a", "deep/c"), images, strict=False):
        save_image(tmp_path / "in" / f"{name}.png", image)
    file, out = tmp_path / "digits.afc", tmp_path / "out"
    text = printed("compress", entry, tmp_path / "in", "-o", file)
    assert "3 images, 48 bytes of grey levels" in text
    assert f"wrote {file}" in text
    with pytest.raises(ValueError, match="none of the zoo's entries.*--entry"):
        printed("decompress", file, "-o", out)
    monkeypatch.setenv("ATTNFLOW_ZOO", str(entry.parent))
    assert "3 images" in printed("decompress", file, "-o", out)
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == [
        "a.png",
        "b.png",
        "deep/c.png",
    ]
    back = load_images(out, (4, 4, 1))
    np.testing.assert_array_equal(back, load_images(tmp_path / "in", (4, 4, 1)))
    with pytest.raises(FileExistsError, match="out exists; --overwrite writes into it"):
        printed("decompress", file, "-o", out)
    printed("decompress", file, "-o", out, "--overwrite")


def test_an_array_there_and_back(entry, images, tmp_path):
    np.save(tmp_path / "in.npy", images)
    file, out = tmp_path / "x.afc", tmp_path / "out.npy"
    result = printed("compress", entry, tmp_path / "in.npy", "-o", file, "--json", "--no-verify")
    figures = json.loads(result[result.index("{") : result.index("}") + 1])
    assert figures["bytes"] == file.stat().st_size
    assert figures["bits_per_dim"] == pytest.approx(8 * figures["bytes"] / images.size, abs=1e-4)
    printed("decompress", file, "-o", out, "--entry", entry)
    with pytest.raises(FileExistsError, match=r"out.npy exists; --overwrite replaces it"):
        printed("decompress", file, "-o", out, "--entry", entry)
    np.testing.assert_array_equal(np.load(out), images)


def test_a_coupling_flow_there_and_back(images, tmp_path):
    flow = perturb(make_tiny_flow(image_shape=(4, 4, 1), levels=1, attention=None), 0.05)
    entry = zoo.save(flow, tmp_path / "zoo" / "pairs", {"task": "unconditional"})
    np.save(tmp_path / "in.npy", images)
    file, out = tmp_path / "x.afc", tmp_path / "out.npy"
    text = printed("compress", entry, tmp_path / "in.npy", "-o", file)
    assert re.search(r"header of \d+ bytes and the \d+ bytes that bits-back coding starts", text)
    result = printed("compress", entry, tmp_path / "in.npy", "-o", file, "--json", "--no-verify")
    figures = json.loads(result[result.index("{") : result.index("}") + 1])
    assert figures["method"] == "bits back"
    assert figures["noise_bytes"] == 4 * coding.read_header(file.read_bytes()).noise_words
    printed("decompress", file, "-o", out, "--entry", entry)
    np.testing.assert_array_equal(np.load(out), images)


def test_files_that_would_become_one_are_refused(entry, images, tmp_path):
    for name in ("a.png", "a.webp"):
        save_image(tmp_path / "in" / name, images[0])
    with pytest.raises(ValueError, match="several files named a"):
        printed("compress", entry, tmp_path / "in", "-o", tmp_path / "x.afc")


def test_colours_are_not_lost(entry, images, tmp_path):
    save_image(tmp_path / "in" / "grey.png", np.repeat(images[0], 3, axis=-1))
    printed("compress", entry, tmp_path / "in", "-o", tmp_path / "x.afc", "--no-verify")
    colour = np.repeat(images[0], 3, axis=-1)
    colour[0, 0] = [1, 2, 3]
    save_image(tmp_path / "in" / "colour.png", colour)
    for data in (tmp_path / "in", tmp_path / "in" / "colour.png"):
        with pytest.raises(ValueError, match=r"colour\.png has colours, which would be lost"):
            printed("compress", entry, data, "-o", tmp_path / "y.afc")
    assert not (tmp_path / "y.afc").exists()


def test_without_the_coder_it_says_what_to_install(flow, images, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "constriction", None)
    with pytest.raises(ImportError, match=r"needs constriction: pip install"):
        coding.compress(flow, images)
