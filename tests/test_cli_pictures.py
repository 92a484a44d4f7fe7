"""What the commands say of the user's images: skipped, transparent, resized, too large."""

import os
import warnings

import pytest
from PIL import Image

import zoo
from attnflow_keras.data import save_image
from tests.test_pictures import bomb
from zoo.cli.app import main
from zoo.cli.common import row_names
from zoo.cli.train import make_recipe

pytestmark = pytest.mark.eager


@pytest.fixture
def pictures(tmp_path, tiny_images):
    """One digit in the alpha channel, and what a Mac leaves beside it."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "._a.png").touch()
    Image.merge("LA", [Image.fromarray(tiny_images[0, ..., 0])] * 2).save(folder / "a.png")
    return folder


@pytest.fixture
def attnflow(monkeypatch, capsys):
    """Runs the command line; gives what it writes on the error stream, with warnings."""
    formatted = warnings.formatwarning
    monkeypatch.setattr("warnings.formatwarning", formatted)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["attnflow", *map(str, arguments)])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            with pytest.raises(SystemExit):
                main()
        ours = [w for w in caught if w.category is UserWarning]
        said = "".join(warnings.formatwarning(w.message, w.category, "", 0) for w in ours)
        return said + capsys.readouterr().err

    return run


def test_pictures_that_need_a_word(plain_flow, pictures, attnflow, tmp_path):
    entry, out = tmp_path / "entry", tmp_path / "a.csv"
    zoo.save(plain_flow, entry, {"task": "unconditional"})
    error = attnflow("score", entry, pictures)
    assert error.startswith(f"error: {pictures}/a.png has transparent pixels; state the colour")
    assert error.count("\n") == 1
    error = attnflow("score", entry, pictures, "--background", "colourless")
    assert error.startswith("error: background must be a colour: white")
    said = attnflow("score", entry, pictures, "--background", "black", "--resize", "-o", out)
    warning = f"warning: {pictures}: skipped 1 hidden, laid 1 on the background black\n"
    assert said.startswith(warning)
    assert said.count("warning") == 1
    assert out.read_text().splitlines()[1].endswith(",a.png")
    (pictures / "a.png").write_bytes(bomb(20_000))
    error = attnflow("score", entry, pictures)
    assert error.startswith(f"error: {pictures}/a.png is too large an image: ")
    assert error.count("\n") == 1


def test_names_that_are_no_utf_8(plain_flow, tiny_images, attnflow, tmp_path):
    entry, folder = tmp_path / "entry", tmp_path / os.fsdecode(b"caf\xe9")
    zoo.save(plain_flow, entry, {"task": "unconditional"})
    name = b"caf\xe9,1.png"
    save_image(tmp_path / "a.png", tiny_images[0])
    folder.mkdir()
    (tmp_path / "a.png").rename(folder / os.fsdecode(name))
    out = folder / os.fsdecode(b"\xff.csv")
    attnflow("score", entry, folder, "-o", out)
    assert out.read_bytes().splitlines()[1].endswith(b',"' + name + b'"')
    # Nor does the image itself become a table.
    error = attnflow("score", entry, folder / os.fsdecode(name), "-o", folder / os.fsdecode(name))
    assert "--out would replace" in error


def test_rows_have_names(tmp_path, pictures):
    for name in ("a-b/1.png", "a/2.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True)
        path.touch()
        other = (tmp_path / "labels" / name).with_suffix(".png")
        other.parent.mkdir(parents=True)
        other.touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert row_names(str(pictures), None, 1) == ["a.png"]
        assert row_names(f"{pictures}/a.png", None, 1) == ["a.png"]
        assert row_names("mnist:test", None, 2) == ["mnist:test"] * 2
        assert row_names(str(tmp_path / "photos"), None, 2) == ["a/2.jpg", "a-b/1.png"]
        # Pairs come in the order of their names as text.
        found = row_names(str(tmp_path / "photos"), tmp_path / "labels", 2)
        assert found == ["a-b/1.png", "a/2.jpg"]


@pytest.mark.parametrize("command", ["score", "train", "evaluate", "doctor", "translate"])
def test_resizing_says_how(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.argv", ["attnflow", command, "--help"])
    with pytest.raises(SystemExit):
        main()
    text = " ".join(capsys.readouterr().out.split())
    for word in ("stretched, not cropped", "bicubic", "nearest", "grey", "--background"):
        assert word in text, word


def test_a_recipe_keeps_the_background():
    given = {"dataset": "mine", "background": "#102030"}
    assert make_recipe({}, given, False).background == "#102030"
    with pytest.raises(ValueError, match="--background must be a colour: white, .*; got 'none'"):
        make_recipe({}, {**given, "background": "none"}, False)
