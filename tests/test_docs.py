"""The documentation is complete, and its code runs."""

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
import tensorflow as tf

from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.runtime import Session
from zoo.tasks import Task

ROOT = Path(__file__).parent.parent

PACKAGES = (
    *(
        f"attnflow_keras.{name}"
        for name in (
            "bijectors",
            "coding",
            "data",
            "detection",
            "layers",
            "metrics",
            "models",
            "flow.diagnosis",
            "networks",
            "priors",
            "training",
        )
    ),
    "zoo",
    "zoo.gans",
    "export",
)


def public():
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            yield f"{package}.{name}", getattr(module, name)


PUBLIC = dict(public())


def documented_arguments(docstring):
    """Names in the Args section, in order; None without one."""
    found = re.search(r"^Args:\n((?:[ ]+.*\n|\n)*)", docstring + "\n", re.MULTILINE)
    if found is None:
        return None
    return re.findall(r"^[ ]{4}(\*{0,2}\w+):", found.group(1), re.MULTILINE)


def accepted_arguments(function):
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.name != "self" and p.kind != p.VAR_KEYWORD]


def test_docstrings_are_read_as_meant():
    text = "Title.\n\nArgs:\n    a: one\n        more: of it.\n    **b: two\n\nReturns:\n    c: d"
    assert documented_arguments(text) == ["a", "**b"]
    assert documented_arguments("Title.") is None


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_arguments_of_public_names_are_documented(name):
    thing = PUBLIC[name]
    docstring = inspect.cleandoc(thing.__doc__ or "")
    assert docstring, f"{name} has no docstring"
    documented = documented_arguments(docstring)
    if inspect.isclass(thing):
        own = "__init__" in vars(thing)
        if not own or issubclass(thing, Exception):
            return  # its base's constructor, its base's Args
        accepted = accepted_arguments(thing.__init__)
    else:
        accepted = accepted_arguments(thing)
        if documented is None:
            # A function of few arguments may explain them in its sentences.
            return
    named = [argument for argument in documented or [] if not argument.startswith("*")]
    assert named == accepted


# What the examples of docstrings take for imported.
EXAMPLE_NAMES = {
    "np": "numpy",
    "keras": "keras",
    **{
        name: f"attnflow_keras.{name}"
        for name in (
            "bijectors",
            "data",
            "layers",
            "metrics",
            "models",
            "networks",
            "priors",
            "training",
        )
    },
    "zoo": "zoo",
    "export": "export",
}
# Their data or weights don't come with the package.
NOT_RUN = {
    "attnflow_keras.data.BlueMarbleCrops",
    "attnflow_keras.metrics.LPIPS",
    "attnflow_keras.metrics.VGG16Features",
}

EXAMPLES = {
    **{name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)},
    "attnflow_keras.core.preprocess.Preprocess": Preprocess,
    "attnflow_keras.runtime.Session": Session,
    "zoo.tasks.Task": Task,
    "zoo": importlib.import_module("zoo"),
}


def one_by_one(name):
    """Whether what is compiled in an example takes longer to trace than to run."""
    return name.startswith("attnflow_keras.models.") and "Causal" not in name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.eager) if one_by_one(name) else name
        for name in sorted(EXAMPLES)
    ],
)
def test_the_example_of_a_public_class_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {short: importlib.import_module(path) for short, path in EXAMPLE_NAMES.items()}
    text = inspect.cleandoc(vars(EXAMPLES[name])["__doc__"])  # its own, not its base's
    names[name.rpartition(".")[2]] = EXAMPLES[name]
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    ran = [example for example in test.examples if not example.options.get(doctest.SKIP)]
    assert test.examples, f"{name} has no example"
    assert bool(ran) == (name not in NOT_RUN)
    printed = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    failed = runner.run(test, out=printed.append).failed
    assert not failed, "".join(printed)


@pytest.fixture(scope="module")
def build_api():
    path = ROOT / "docs" / "build_api.py"
    spec = importlib.util.spec_from_file_location("build_api", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_covers_the_public_modules(build_api):
    assert set(build_api.MODULES) >= set(PACKAGES)


def test_the_reference_renders(build_api, tmp_path, capsys):
    modules = ("attnflow_keras.models", "attnflow_keras.bijectors", "zoo", "export")
    build_api.main(tmp_path, modules)
    assert "[4/4] wrote" in capsys.readouterr().out
    assert (tmp_path / "index.html").exists()
    page = (tmp_path / "attnflow_keras" / "models.html").read_text()
    for member in ("MARFlow", "Flow.encode", "Flow.diagnose", "Flow.fit"):
        assert f'id="{member}"' in page
    for section in ("Arguments", "Returns", "Raises"):
        assert f'<h6 id="{section.lower()}' in page
    zoo_page = (tmp_path / "zoo.html").read_text()
    assert 'id="load"' in zoo_page
    assert "<table>" in (tmp_path / "export.html").read_text()
    for path in tmp_path.rglob("*.html"):
        names = re.findall(r'<section id="([\w.]+)"', path.read_text())
        private = [n for n in names if re.search(r"(^|\.)_(?!_init__)", n)]
        assert not private
        # What Keras and TFP say of their own classes stays there.
        assert "Constructs Bijector" not in path.read_text()


def test_the_reference_fails_on_a_module_that_can_not_be_imported(build_api, tmp_path):
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        build_api.main(tmp_path, ("attnflow_keras.nothing",))


TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")

# The numbers in capitals, as small as they go.
SMALL = {"STEPS": 2, "PICTURES": 8, "EPOCHS": 1, "DRAWS": 2, "IMAGES": 2, "DIAGNOSED": 2}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)


@pytest.fixture
def eager():
    # What is compiled is compiled in other tests; tracing would take most of the time here.
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_the_python_of_the_tutorial_runs(tmp_path, monkeypatch, capsys, eager, digits):
    code = blocks("python")
    assert len(code) >= 8
    for name in SMALL:
        assert any(re.search(rf"^{name} = \d+", block, re.MULTILINE) for block in code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("attnflow_keras.data.mnist_sample", lambda: digits[:80])
    namespace = {}
    for number, block in enumerate(code, start=1):
        for name, value in SMALL.items():
            block = re.sub(rf"^{name} = \d+", f"{name} = {value}", block, flags=re.MULTILINE)
        exec(compile(block, f"tutorial block {number}", "exec"), namespace)
    assert (tmp_path / "runs" / "small" / "curve.csv").exists()
    assert (tmp_path / "my-flow" / "model.weights.h5").exists()
    assert namespace["after"].mean() < namespace["before"].mean()
    assert namespace["report"].ok
    printed = capsys.readouterr().out
    assert "level_2.step_3.actnorm/bias" in printed
    assert "upside down" in printed
