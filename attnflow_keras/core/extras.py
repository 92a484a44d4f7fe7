"""How to install what an optional feature needs."""

import importlib.metadata
import importlib.util
import os
import re

DISTRIBUTION = "attnflow-keras"


def install_command(*extras: str) -> str:
    """A pip command for the packages of extras, right in a clone and after a wheel alike.

    It names the packages themselves: the distribution need not be on any index.

    Args:
        *extras: names of extras, as in pyproject.toml.
    """
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # the source without an installation
        return f"pip install '.[{','.join(extras)}]' in a clone of {DISTRIBUTION}"
    names = "|".join(map(re.escape, extras))
    marker = re.compile(rf"""extra\s*==\s*['"](?:{names})['"]""")
    parts = (requirement.partition(";") for requirement in requirements)
    packages = [package.strip() for package, _, rule in parts if marker.search(rule)]
    return "pip install " + " ".join(f"'{package}'" for package in packages)


def backend_advice() -> str:
    """What is needed for Keras' backend, as ``KERAS_BACKEND`` names it, and how to install it."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        return f"JAX: {install_command('jax')}"
    other = importlib.util.find_spec("jax") is not None
    return f"TensorFlow: {install_command('tf')}" + (", or set KERAS_BACKEND=jax" if other else "")
