"""Write the API reference to docs/api/ from the docstrings of the public modules.

Fails on a module that can't be imported, and on a public name that does not exist.
"""

import importlib
import os
import shutil
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import inspect
from typing import Any

import pdoc
import pdoc.render

OUT = Path(__file__).parent / "api"

MODULES = (
    "attnflow_keras.models",
    "attnflow_keras.flow.diagnosis",
    "attnflow_keras.layers",
    "attnflow_keras.bijectors",
    "attnflow_keras.networks",
    "attnflow_keras.priors",
    "attnflow_keras.layers.masks",
    "attnflow_keras.core.preprocess",
    "attnflow_keras.data",
    "attnflow_keras.metrics",
    "attnflow_keras.training",
    "attnflow_keras.coding",
    "attnflow_keras.detection",
    "attnflow_keras.runtime",
    "zoo",
    "zoo.gans",
    "export",
)


def main(out: Path = OUT, modules: tuple[str, ...] = MODULES) -> None:
    """Render every module into a fresh folder."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.monotonic()
    documented = {}
    for number, name in enumerate(modules, start=1):
        _say(f"[{number}/{len(modules)}] importing {name}", started)
        documented[name] = pdoc.doc.Module(_public(name))
    classes = [
        member
        for module in documented.values()
        for member in module.members.values()
        if isinstance(member, pdoc.doc.Class)
    ]
    homes = {member.obj: (member.modulename, member.qualname) for member in classes}
    for member in classes:
        _tidy(member, homes)
    pdoc.render.configure(docformat="google", search=True, footer_text="AttnFlow for Keras")
    for number, (name, module) in enumerate(documented.items(), start=1):
        path = out / f"{name.replace('.', '/')}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pdoc.render.html_module(module, documented), encoding="utf-8")
        _say(f"[{number}/{len(modules)}] wrote {path}", started)
    (out / "index.html").write_text(pdoc.render.html_index(documented), encoding="utf-8")
    (out / "search.js").write_text(pdoc.render.search_index(documented), encoding="utf-8")
    _say(f"start at {out / 'index.html'}", started)


def _public(name: str) -> object:
    """The module, with those of its public names in place that it loads on first use."""
    module = importlib.import_module(name)
    for member in getattr(module, "__all__", ()):
        setattr(module, member, getattr(module, member))
    return module


def _tidy(documented: pdoc.doc.Class, homes: dict[type, tuple[str, str]]) -> None:
    """Leave what is the project's own, each member at the class that readers know it from."""
    cls = documented.obj
    members = documented.members
    for name, member in list(members.items()):
        owner = next((base for base in cls.__mro__ if name in vars(base)), cls)
        if name == "__init__":
            # The class's docstring has the arguments; a base outside the project would explain
            # its own.
            place = (documented.modulename, f"{documented.qualname}.__init__")
            members[name] = pdoc.doc.Function(*place, cls.__init__, place)
            members[name].__dict__["docstring"] = ""
        elif not _is_ours(owner) or not _has_own_words(cls, name, member):
            del members[name]
        else:
            # A mixin's members belong to the public class that brings it in.
            public = [base for base in cls.__mro__ if base in homes and issubclass(base, owner)]
            module, qualname = homes[owner if owner in homes else public[-1]]
            member.taken_from = (module, f"{qualname}.{name}")


def _has_own_words(cls: type, name: str, member: pdoc.doc.Doc[Any]) -> bool:
    if not isinstance(member, pdoc.doc.Function):
        return bool(member.docstring)
    written = [vars(base).get(name) for base in cls.__mro__ if _is_ours(base)]
    return any(inspect.getdoc(function) and function.__doc__ for function in written if function)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in ("attnflow_keras", "zoo", "export")


def _say(text: str, started: float) -> None:
    print(f"{time.monotonic() - started:5.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
