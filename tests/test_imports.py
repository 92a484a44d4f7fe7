"""The order of the files: each imports only what stands below it."""

import ast
import graphlib
import sys
from pathlib import Path

import pytest

import zoo

ROOT = Path(zoo.__file__).parents[1]
PACKAGES = ("attnflow_keras", "zoo", "export")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for name in PACKAGES for path in (ROOT / name).rglob("*.py")}


def imported(path):
    """Modules of the packages that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FILES else node.module


# What the packages that run without Keras may import.
THIRD_PARTY = {
    "attnflow_keras.core": {"numpy", "h5py"},
    "attnflow_keras.detection": {"numpy", "PIL"},
    "attnflow_keras.runtime": {"numpy", "onnxruntime"},
}


def package_of(name):
    """A package, or one inside attnflow_keras or zoo."""
    parts = name.split(".")
    folder = len(parts) > 2 or FILES[name].name == "__init__.py"
    inner = parts[0] in ("attnflow_keras", "zoo") and folder
    return ".".join(parts[: 2 if inner else 1])


def test_no_package_imports_one_that_imports_it():
    below = {package_of(name): set() for name in FILES}
    for name, path in FILES.items():
        for other in imported(path):
            if other in FILES and package_of(other) != package_of(name):
                below[package_of(name)].add(package_of(other))
    assert len(below) > 15
    graphlib.TopologicalSorter(below).prepare()
    assert below["attnflow_keras.core"] == set()
    assert below["attnflow_keras.runtime"] == {"attnflow_keras.core"}


@pytest.mark.parametrize("package", THIRD_PARTY)
def test_what_runs_without_keras_does_not_import_it(package):
    """Not within functions either, where an installation without it would find out late."""
    found = set()
    for name, path in FILES.items():
        if not name.startswith(package):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    assert found - sys.stdlib_module_names - {"attnflow_keras"} <= THIRD_PARTY[package]


def test_no_file_imports_one_that_imports_it():
    # A package's face only hands on names, and importing a name from it runs all of its files.
    faces = {name for name, path in FILES.items() if path.name == "__init__.py"}
    below = {
        name: {other for other in imported(path) if other in FILES and other not in faces}
        for name, path in FILES.items()
        if name not in faces
    }
    assert sum(map(len, below.values())) > 500
    graphlib.TopologicalSorter(below).prepare()  # raises CycleError, which names the circle
