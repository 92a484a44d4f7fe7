"""The order of the files: each imports only what stands below it."""

import ast
import graphlib
from pathlib import Path

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
