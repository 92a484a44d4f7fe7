"""The wheel: what it holds, what it asks for, and that it works without the clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import zoo
from attnflow_keras import __version__

ROOT = Path(__file__).parent.parent
MOST_BYTES = 100_000_000  # of PyPI
LEFT_OUT = "attnflow-causal-mnist-large"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools leaves files where it builds."""
    source = tmp_path_factory.mktemp("source")
    for name in ("attnflow_keras", "zoo", "export"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--wheel-dir", source / "dist", source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with what pip would put into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed, code, cwd):
    """Python outside of the clone, which finds the wheel's content before anything else."""
    env = {**os.environ, "PYTHONPATH": str(installed), "TF_CPP_MIN_LOG_LEVEL": "3"}
    env.pop("ATTNFLOW_DATA", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def requirements(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist")


def test_it_is_small_enough_and_holds_every_entry(wheel):
    assert wheel.name.startswith(f"attnflow_keras-{__version__}-")
    assert wheel.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for entry in zoo.list(pretrained=True):
        assert f"zoo/presets/{entry}/config.json" in names
        assert (f"zoo/presets/{entry}/model.weights.h5" in names) == (entry != LEFT_OUT)
    for typed in ("attnflow_keras", "zoo", "export"):
        assert f"{typed}/py.typed" in names
    assert {f"export/web/{path.name}" for path in (ROOT / "export" / "web").iterdir()} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "runs"))]


def test_the_runtime_asks_for_numpy_and_onnxruntime_alone(wheel):
    given = [line.split(";") for line in requirements(wheel)]
    always = [name.strip() for name, *rule in given if not rule]
    assert [name.split(">")[0] for name in always] == ["numpy"]
    runtime = [name for name, *rule in given if rule and '"runtime"' in rule[0].replace("'", '"')]
    assert [name.strip().split(">")[0] for name in runtime] == ["onnxruntime"]


def test_the_runtime_imports_nothing_else(installed, tmp_path):
    code = """
import sys
absent = ("keras", "tensorflow", "typer", "rich", "pydantic", "PIL", "onnx", "zoo", "export")
sys.modules.update(dict.fromkeys(absent))
from attnflow_keras.runtime import ExportError, Session
print(Session.__mro__[2].__name__, sys.modules["attnflow_keras"].__file__)
try:
    Session(".")
except ExportError as error:
    print(error)
del sys.modules["zoo"], sys.modules["export"]
from zoo.cli import main
try:
    main()
except SystemExit as error:
    print(error)
"""
    kind, no_export, no_command = run(installed, code, tmp_path).splitlines()
    assert kind.split() == ["ImageModel", str(installed / "attnflow_keras/__init__.py")]
    assert no_export.startswith(". is not an export")
    assert no_command.startswith("attnflow: the command line needs ")
    assert "pip install 'pillow" in no_command


def test_it_works_without_the_clone(installed, tmp_path):
    code = """
import sys
from zoo.cli import main
import zoo
print(zoo.__file__)
for command in (
    ["list", "--json"],
    ["info", "marflow-mnist"],
    ["sample", "marflow-mnist", "-n", "2", "--seed", "0", "-o", "samples.png"],
):
    sys.argv = ["attnflow", *command]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    printed = run(installed, code, tmp_path)
    assert printed.startswith(str(installed))
    assert '"attnflow-imap-mnist"' in printed
    assert (tmp_path / "samples.png").stat().st_size > 100
