"""Folders in, files out: ``restore``, ``translate`` and ``sample`` on many images."""

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import zoo
from attnflow_keras.data import downscale, load_picture, save_image
from tests.command_line import attnflow
from tests.conftest import make_plain_flow
from tests.helpers import perturb
from tests.model_table import make_fullglow, make_srflow
from tests.test_cli_translate import COLOURS, save_entry
from tests.test_label_flows import pairs
from zoo.cli.results import FORMATS, Results, counted

pytestmark = pytest.mark.eager

ENDINGS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sr") / "entry"
    flow = perturb(make_srflow(image_shape=(16, 16, 3)), 0.01)
    zoo.save(flow, folder, {"task": "super-resolution"})
    return folder


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return save_entry(make_fullglow(), tmp_path_factory.mktemp("label") / "entry")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """High-resolution images and small ones, in two folders with the same names."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a", "sub/b", "c"):
        large = rng.integers(0, 256, (16, 16, 3), dtype="uint8")
        save_image(root / "large" / f"{name}.png", large)
        save_image(root / "small" / f"{name}.png", downscale(large, 4))
    return root


def test_a_folder_gives_one_file_a_picture_under_its_name(restorer, pictures, tmp_path):
    small = pictures / "small"
    result = attnflow("restore", restorer, small, "-o", tmp_path / "out", "--format", "webp")
    assert files(tmp_path / "out") == ["a.webp", "c.webp", "sub/b.webp"]
    assert "3 images" in result.stdout
    flow = zoo.load(restorer)
    picture = load_picture(small / "sub" / "b.png")
    with Image.open(tmp_path / "out" / "sub" / "b.webp") as opened:
        found = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(found, flow.restore(picture, 1, 0, seed=0)[0])

    separate = ("--separate", "--samples", 2, "-o", tmp_path / "separate")
    attnflow("restore", restorer, small / "a.png", small / "c.png", *separate)
    # Several are drawn at a temperature at which they differ.
    first, second = (load_picture(tmp_path / "separate" / f"a-000{i}.png") for i in range(2))
    assert (first != second).any()
    names = ["a-0000.png", "a-0001.png", "c-0000.png", "c-0001.png"]
    assert files(tmp_path / "separate") == names


def test_figures_of_a_folder_of_references_as_json(restorer, pictures, tmp_path):
    given = ("restore", restorer, pictures / "small", "--reference", pictures / "large")
    result = attnflow(*given, "-o", tmp_path / "out", "--json")
    content = json.loads(result.stdout)
    assert [os.path.basename(row["file"]) for row in content["results"]] == [
        "a.png",
        "c.png",
        "b.png",
    ]
    for row in content["results"]:
        assert row["bicubic"]["psnr"] > 0
        assert row["restored"]["lr_psnr"] > 0
        assert "lines" not in row
    assert load_picture(tmp_path / "out" / "a.png").shape == (16, 4 * 16 + 3 * 4, 3)
    text = attnflow(*given, "-o", tmp_path / "out").stdout
    assert "sub/b: bicubic: PSNR" in text


def test_label_maps_of_any_size_are_drawn_in_tiles(translator, tmp_path):
    flow = zoo.load(translator)
    _, labels = pairs(flow, 4)
    height, width = flow.image_shape[:2]
    large = np.block([[labels[0], labels[1]], [labels[2], labels[3]]])[: height + 7, : width + 9]
    (tmp_path / "maps").mkdir()
    Image.fromarray(large).save(tmp_path / "maps" / "large.png")
    Image.fromarray(labels[0][:5, :6]).save(tmp_path / "maps" / "small.png")
    Image.fromarray(labels[0]).save(tmp_path / "maps" / "own.png")
    attnflow("translate", translator, tmp_path / "maps", "-o", tmp_path / "out")
    assert files(tmp_path / "out") == ["large.png", "own.png", "small.png"]
    drawn = {name: load_picture(tmp_path / "out" / f"{name}.png") for name in ("large", "own")}
    assert drawn["large"].shape == (height + 7, width + 9, 3)
    assert load_picture(tmp_path / "out" / "small.png").shape == (5, 6, 3)
    expected = flow.sample(condition=labels[:1], temperature=0.7, seed=0)[0]
    np.testing.assert_array_equal(drawn["own"], expected)
    # By colours it is the same.
    seen = []
    several = flow.translate(COLOURS[large], 2, 0.7, 0, progress=lambda *parts: seen.append(parts))
    np.testing.assert_array_equal(several[0], drawn["large"])
    assert (several[0] != several[1]).any()
    assert seen[-1] == (4, 4)
    resized = ("--resize", "-o", tmp_path / "resized.png")
    attnflow("translate", translator, tmp_path / "maps" / "large.png", *resized)
    assert load_picture(tmp_path / "resized.png").shape == (height, width, 3)


def test_what_translate_refuses(translator):
    flow = zoo.load(translator)
    with pytest.raises(ValueError, match=r"label must be one label map, .*; got \(1, 2, 2"):
        flow.translate(np.zeros((1, 2, 2, 3), "uint8"))
    with pytest.raises(ValueError, match="condition must hold classes 0 to 2; got 9"):
        flow.translate(np.full((50, 50), 9, "uint8"))
    with pytest.raises(ValueError, match="n must be an integer of at least 1; got 0"):
        flow.translate(np.zeros((50, 50), "uint8"), 0)


def test_sample_writes_other_formats_and_finds_a_bad_target_early(
    tiny_images, tmp_path, monkeypatch
):
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    entry = zoo.save(flow, tmp_path / "entry", {"task": "unconditional"})
    for ending, kind in ENDINGS.items():
        attnflow("sample", entry, "-n", 2, "-o", tmp_path / f"grid.{ending}")
        with Image.open(tmp_path / f"grid.{ending}") as opened:
            assert opened.format == kind
    attnflow("sample", entry, "-n", 2, "--separate", "--format", "jpg", "-o", tmp_path / "many")
    assert files(tmp_path / "many") == ["0000.jpg", "0001.jpg"]
    monkeypatch.setattr("zoo.cli.sample.load_flow", lambda name: 1 / 0)
    with pytest.raises(ValueError, match="--out must be a name in .png, .jpg, .jpeg, .webp; got"):
        attnflow("sample", entry, "-o", tmp_path / "grid.bmp")
    with pytest.raises(NotADirectoryError, match="--out must be a folder; .* is a file"):
        attnflow("sample", entry, "--separate", "-o", tmp_path / "grid.png")
    monkeypatch.setattr("zoo.cli.export.load_flow", lambda name: 1 / 0)
    with pytest.raises(NotADirectoryError, match="--out: can't write .* is not a folder"):
        attnflow("export", entry, "-o", tmp_path / "grid.png" / "onnx")


def test_names_partners_and_targets(tmp_path):
    for name in ("a.png", "a.jpg", "one/a.png", "two/a.png", "two/b.png"):
        save_image(tmp_path / name, np.zeros((4, 4, 3), "uint8"))

    def results(*given, out=None, separate=False, ending=None):
        return Results([tmp_path / name for name in given], out, "made", separate, ending)

    with pytest.raises(ValueError, match=r"a.png and .*a.jpg have the same name up to the ending"):
        results("a.png", "a.jpg", out=tmp_path / "out")
    with pytest.raises(ValueError, match="--format must be one of png, jpg, jpeg, webp; got 'bmp'"):
        results("a.png", ending="bmp")
    assert str(results("a.png").out) == "made.png"
    assert str(results("a.png", ending="webp").out) == "made.webp"
    assert str(results("two").out) == "made"
    two = results("two", out=tmp_path / "out")
    with pytest.raises(ValueError, match="--photo: .*one has no partner of .*b.png"):
        two.partners(tmp_path / "one", "--photo")
    with pytest.raises(ValueError, match="--photo must be a folder, for 2 images"):
        two.partners(tmp_path / "a.png", "--photo")
    assert [p.name for p in two.paths(1, 2)] == ["b-0000.png", "b-0001.png"]
    assert set(FORMATS) >= set(ENDINGS)


def test_no_result_replaces_an_input(restorer, translator, tmp_path, monkeypatch):
    for command in ("restore", "translate"):
        monkeypatch.setattr(f"zoo.cli.{command}.load_flow", lambda name: 1 / 0)
    picture = np.full((4, 4, 3), 7, "uint8")
    for name in ("in/a.png", "in/sub/b.png", "large/a.png", "large/b.png", "many/a-0001.png"):
        save_image(tmp_path / name, picture)
    save_image(tmp_path / "many" / "a.png", picture)
    (tmp_path / "linked").symlink_to("in", target_is_directory=True)
    (tmp_path / "link.png").symlink_to(tmp_path / "in" / "a.png")
    one, folder = tmp_path / "in" / "a.png", tmp_path / "in"
    many = tmp_path / "many"
    cases = (
        (folder, "-o", folder),
        (folder, "-o", tmp_path / "linked"),
        (one, "-o", one),
        (one, "-o", tmp_path / "link.png"),
        (tmp_path / "link.png", "-o", one),
        (one, "--separate", "-o", folder),
        (many, "--separate", "--samples", 2, "-o", many),
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    message = r"--out would replace .*\.png, which is read; name another place"
    for given in cases:
        for command, entry in (("restore", restorer), ("translate", translator)):
            with pytest.raises(ValueError, match=message):
                attnflow(command, entry, *given)
    palette = tmp_path / "palette.png"
    palette.write_text("[[1, 2, 3]]")
    with pytest.raises(ValueError, match=message):
        attnflow("translate", translator, one, "--palette", palette, "-o", palette)
    for reference in (tmp_path / "large", tmp_path / "large" / "a.png"):
        results = Results([one], tmp_path / "large", "made", True, None)
        with pytest.raises(ValueError, match=message):
            results.partners(reference, "--reference")
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_picture_does_not_stop_the_others(restorer, translator, pictures, tmp_path):
    def told(result, count):
        assert result.exit_code == 1
        assert result.stderr.count("as an image") == 1
        assert "bad.png as an image" in " ".join(result.stderr.split())
        assert f"left out 1 of {count} images, which can't be read" in result.stderr

    small, large = tmp_path / "small", tmp_path / "large"
    shutil.copytree(pictures / "small", small)
    (small / "bad.png").write_bytes((small / "a.png").read_bytes()[:60])
    result = attnflow("restore", restorer, small, "-o", tmp_path / "out")
    assert files(tmp_path / "out") == ["a.png", "c.png", "sub/b.png"]
    told(result, 4)
    shutil.copytree(pictures / "large", large)
    (large / "bad.png").write_bytes(b"")
    given = ("--reference", large, "-o", tmp_path / "beside", "--json")
    result = attnflow("restore", restorer, small, *given)
    assert len(json.loads(result.stdout)["results"]) == 3
    told(result, 4)

    flow = zoo.load(translator)
    for i, label in enumerate(pairs(flow, 2)[1]):
        save_image(tmp_path / "maps" / f"{i}.png", label[..., None])
    (tmp_path / "maps" / "bad.png").write_bytes(b"no image")
    result = attnflow("translate", translator, tmp_path / "maps", "-o", tmp_path / "photos")
    assert files(tmp_path / "photos") == ["0.png", "1.png"]
    told(result, 3)
    with pytest.raises(ValueError, match="bad.png as an image"):
        attnflow("restore", restorer, small / "bad.png", "-o", tmp_path / "one.png")


def test_scores_of_a_folder_with_a_damaged_picture(tiny_images, tmp_path):
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    entry = zoo.save(flow, tmp_path / "entry", {"task": "unconditional"})
    for i in range(3):
        save_image(tmp_path / "in" / f"{i}.webp", tiny_images[i])
    (tmp_path / "in" / "1.webp").write_bytes(b"RIFF")
    result = attnflow("score", entry, tmp_path / "in", "-o", "-")
    assert result.exit_code == 1
    assert "1.webp as an image" in " ".join(result.stderr.split())
    assert "left out 1 of 3 images" in result.stderr
    # Nothing but the table on standard output.
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["file"] for row in rows] == ["0.webp", "2.webp"]
    expected = flow.bits_per_dim(tiny_images[[0, 2]])
    np.testing.assert_allclose([float(row["bits_per_dim"]) for row in rows], expected, atol=1e-4)
    (tmp_path / "in" / "1.webp").unlink()
    result = attnflow("score", entry, tmp_path / "in")
    assert result.exit_code == 0
    assert "2 images" in result.stdout
    assert "1 image)\n" in attnflow("score", entry, tmp_path / "in" / "0.webp").stdout
    with pytest.raises(ValueError, match="--json and --out - both write to standard output"):
        attnflow("score", entry, tmp_path / "in", "-o", "-", "--json")


def test_pictures_and_folders_do_not_go_to_standard_output(restorer, pictures, tmp_path):
    entry = zoo.save(make_plain_flow(), tmp_path / "entry", {"task": "unconditional"})
    picture = pictures / "small" / "a.png"
    message = "--out must be a file: images don't go to standard output; got -"
    with pytest.raises(ValueError, match=message):
        attnflow("restore", restorer, picture, "-o", "-")
    with pytest.raises(ValueError, match=message):
        attnflow("sample", entry, "-o", "-")
    message = "--out must be a folder; got -, standard output"
    with pytest.raises(ValueError, match=message):
        attnflow("restore", restorer, pictures / "small", "-o", "-")
    with pytest.raises(ValueError, match=message):
        attnflow("export", restorer, "-o", "-")


def test_progress_counts_the_tiles_of_all_samples():
    seen = []
    tiles = counted(lambda *parts: seen.append(parts), 2)
    for done in (1, 2, 3, 1, 2, 3):
        tiles(done, 3)
    assert seen == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
