"""README and docs/*.md: their Python runs, commands and links exist, figures are the metadata's."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import typer

import zoo
from tests.conftest import make_tiny_flow
from zoo.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
}
# The tutorial and the deployment guide have tests of their own.
RUN_ELSEWHERE = {"docs/tutorial.md", "docs/deployment.md"}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# Numbers of the snippets, as small as they go: the same code runs in a fraction of the time.
SMALLER = {
    r"\[:4\]": "[:2]",
    r"mnist_sample\(\)\[:\d+\]": "mnist_sample()[:4]",
    r"\bn=\d+": "n=2",
    r"\.sample\(\d+": ".sample(2",
    r"\bsteps=8\b": "steps=3",
    r"\.batch\(8\)": ".batch(2)",
}


def run_blocks(page, folder, monkeypatch, digits):
    """The names that the page's Python blocks leave, run in ``folder``.

    Where a page exports, a small flow stands in for the entries of digits, whose export takes
    minutes. Blocks that don't export run eagerly, which spares minutes of tracing.
    """
    exports = "import export" in PAGES[page]
    load = zoo.load

    def stand_in(name, **arguments):
        if not exports or not name.endswith("-mnist"):
            return load(name, **arguments)
        flow = make_tiny_flow(image_shape=(28, 28, 1), levels=1, attention=None, coupling="affine")
        flow.adapt(digits[:64])
        return flow

    monkeypatch.chdir(folder)
    monkeypatch.setattr(zoo, "load", stand_in)
    monkeypatch.setattr("zoo.registry._ADDED", [])
    monkeypatch.setattr("zoo.models._REGISTERED", {})
    namespace = {}
    try:
        for number, block in enumerate(blocks(PAGES[page], "python"), start=1):
            for pattern, value in SMALLER.items():
                block = re.sub(pattern, value, block)
            # Of the many steps of a code, each is quicker compiled.
            tf.config.run_functions_eagerly(not re.search(r"\b(export|coding)\.", block))
            exec(compile(block, f"{page}, block {number}", "exec"), namespace)
    finally:
        tf.config.run_functions_eagerly(False)
    return namespace


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 200
    assert len(blocks(PAGES["README.md"], "python")) == 5


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, digits):
    names = run_blocks("README.md", tmp_path, monkeypatch, digits)
    flow, session, images = (names[name] for name in ("flow", "session", "images"))
    np.testing.assert_allclose(session.bits_per_dim(images), flow.bits_per_dim(images), atol=1e-4)
    drawn = flow.sample(16, temperature=0.8, seed=0)
    assert (session.sample(16, temperature=0.8, seed=0) != drawn).mean() < 1e-3
    assert (tmp_path / "my-flow" / "model.weights.h5").exists()


PYTHON_PAGES = sorted(
    page
    for page, text in PAGES.items()
    if page.startswith("docs/") and page not in RUN_ELSEWHERE and blocks(text, "python")
)


def test_the_pages_with_python_are_found():
    assert len(PYTHON_PAGES) >= 6


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, digits):
    names = run_blocks(page, tmp_path, monkeypatch, digits)
    for name, value in names.items():
        if isinstance(value, np.ndarray | tf.Tensor) and value.dtype.name.startswith("float"):
            assert np.isfinite(np.asarray(value)).all(), name
    if "flow" in names:
        assert isinstance(names["flow"], keras.Model)
    if "report" in names:
        assert names["report"].ok
    if "h2" in names:
        np.testing.assert_allclose(names["h2"], names["h"], atol=1e-5)
        np.testing.assert_allclose(names["log_det2"], -names["log_det"], atol=1e-4)


def prose(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def command_lines(text):
    """Lines of the attnflow command in shell blocks, and in sentences."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    lines = [re.sub(r"^\w+=\S+ ", "", line) for line in lines]
    inline = [" ".join(code.split()) for code in re.findall(r"`(attnflow\s[^`]+)`", prose(text))]
    return [line for line in lines + inline if line.startswith("attnflow ")]


def test_the_commands_of_the_pages_exist():
    command = typer.main.get_command(app)
    checked = 0
    for text in PAGES.values():
        for line in command_lines(text):
            program, *arguments = shlex.split(line, comments=True)
            context = command.make_context(program, list(arguments))
            name, subcommand, rest = command.resolve_command(context, arguments)
            # A sentence may leave the arguments out, or name an entry in general.
            if rest and not rest[0].startswith(("-", "<")):
                subcommand.make_context(name, rest, parent=context)
            checked += 1
    assert checked >= 50


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[page])):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", sorted(PAGES))
def test_files_that_are_named_exist(page):
    folders = "zoo|docs|examples|attnflow_keras|export|benchmarks|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+\.\w+)`", PAGES[page]):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (benchmarks[\w.]*)", PAGES[page]):
        assert list(ROOT.glob(module.replace(".", "/") + "*")), module


def test_files_of_the_code_map_exist():
    rows = [line for line in PAGES["CONTRIBUTING.md"].splitlines() if line.startswith("| ")]
    checked = 0
    for row in rows:
        folder = None
        for name in re.findall(r"`([\w/<>]+\.\w+)`", row):
            path = Path(name)
            folder = path.parent if path.parent != Path() else folder  # short for its neighbour
            if "<" not in name:
                assert (ROOT / folder / path.name).exists(), row
                checked += 1
    assert checked >= 60


def test_every_page_and_picture_is_linked():
    linked = set()
    for page, text in PAGES.items():
        for link in re.findall(r"\]\(([^)\s#]+)", text):
            linked.add(((ROOT / page).parent / link).resolve())
    index = {
        (ROOT / "docs" / link).resolve()
        for link in re.findall(r"\]\(([^)\s#]+)", PAGES["docs/index.md"])
    }
    pages = {ROOT / page for page in PAGES if page not in ("README.md", "docs/index.md")}
    assert pages <= index
    assert set((ROOT / "docs" / "images").iterdir()) <= linked


def tables(text):
    """Rows of the tables about entries, as a dict from title to cell."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        titles, _, *rows = (
            [cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()
        )
        if titles[0] == "entry":
            yield from (dict(zip(titles, row, strict=True)) for row in rows)


def figure(mean, error=None, digits=3, unit=""):
    return f"{mean:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "") + unit


def expected(name):
    """What the metadata say under each title of a table."""
    known = zoo.info(name)
    training = known["training"]
    score = known["metrics"][0]
    assert score["split"].endswith(" test")
    cells = {
        "parameters": f"{known['parameters']:,}",
        "size": f"{known['bytes'] / 1e6:.1f} MB",
        "images seen": f"{training['images']:,}",
        "bits/dim": figure(score["value"], score["standard_error"]),
    }
    cells["parameters, size"] = f"{cells['parameters']}, {cells['size']}"
    if "restoration" in known:
        rows = {row["temperature"]: row for row in known["restoration"]["temperatures"]}
        for title, at, metric, digits in (
            ("PSNR at 0", 0.0, "psnr", 2),
            ("LPIPS at 0.8", 0.8, "lpips", 3),
            ("LR-PSNR at 0.8", 0.8, "lr_psnr", 2),
        ):
            value = rows[at][metric]
            cells[title] = figure(value["mean"], value["standard_error"], digits)
    if "translation" in known:
        result = known["translation"]
        rows = {row["temperature"]: row for row in result["temperatures"]}
        bits, seen = result["bits_per_dim"], rows[0.7]["segmentation"]
        cells["bits/dim"] = figure(bits["value"], bits["standard_error"])
        cells["accuracy"] = figure(100 * seen["accuracy"], 100 * seen["standard_error"], 1, " %")
        cells["mean IoU"] = figure(100 * seen["mean_iou"], None, 1, " %")
        lpips = rows[0.7]["lpips"]
        cells["LPIPS"] = figure(lpips["mean"], lpips["standard_error"])
        cells["diversity, grey levels"] = figure(result["diversity"]["mean"], None, 1)
    return cells


@pytest.mark.parametrize(("page", "least"), [("README.md", 16), ("docs/zoo.md", 75)])
def test_figures_of_the_tables_are_those_of_the_metadata(page, least):
    checked = 0
    for row in tables(PAGES[page]):
        name = row["entry"].strip("`")
        if name == row["entry"]:  # a baseline that is no entry
            continue
        known = expected(name)
        for title, cell in row.items():
            if cell and title in known:
                assert cell == known[title], (name, title)
                checked += 1
        if "training" in row:
            seconds = zoo.info(name)["training"]["seconds"]
            shown = float(re.search(r"([\d,]+) s\b", row["training"]).group(1).replace(",", ""))
            assert shown == pytest.approx(seconds, abs=0.5), name
    assert checked >= least


def test_every_entry_with_weights_is_in_the_tables():
    for page in ("README.md", "docs/zoo.md"):
        named = {row["entry"].strip("`") for row in tables(PAGES[page])}
        assert set(zoo.list(pretrained=True)) <= named, page


def test_parameters_of_the_papers_entries_are_those_of_the_metadata():
    checked = 0
    for line in PAGES["docs/zoo.md"].splitlines():
        names = re.findall(r"`([a-z]+[\w-]*-(?:celeba|cityscapes))`", line)
        if not names or not line.startswith("|"):
            continue
        counts = [int(c.replace(",", "")) for c in line.strip("| ").split("|")[-1].split("/")]
        if len(counts) == len(names):
            assert counts == [zoo.info(name)["parameters"] for name in names]
            checked += len(names)
    assert checked == 14
