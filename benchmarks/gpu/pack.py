"""Pack what a machine with an accelerator, JAX and no network needs: wheels and data.

    ATTNFLOW_DATA=data python -m benchmarks.gpu.pack --python 3.12

writes ``.gpu/wheels`` and ``.gpu/data``. There, beside a copy of the repository:

    pip install --no-index --no-deps --target site .gpu/wheels/*.whl
    export PYTHONPATH=site:. KERAS_BACKEND=jax ATTNFLOW_DATA=.gpu/data
    python -m benchmarks.gpu --out results --check 60 --speed 120 --train 400 attnflow-causal-mnist
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Besides JAX, NumPy, SciPy, h5py, Pillow, Rich and Typer, which such machines have.
LOCKED = (
    "keras",
    "optree",
    "namex",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-inspection",
    "filelock",
    # huggingface_hub, which writes the header of cards, and what its import needs.
    "huggingface-hub",
    "anyio",
    "h11",
    "httpcore2",
    "httpx2",
    "idna",
    "packaging",
    "pyyaml",
    "tqdm",
    "truststore",
)
# TensorFlow Probability's last release does not work with current JAX.
OTHERS = ("tfp-nightly==0.26.0.dev20261027", "dm-tree", "gast", "decorator")
PLATFORMS = (
    "manylinux2014",
    "manylinux_2_17",
    "manylinux_2_24",
    "manylinux_2_27",
    "manylinux_2_28",
)
DATA = ("mnist.npz", "fashion-mnist", "bluemarble", "photos")
LIMIT = 60_000_000


def main() -> None:
    """Download wheels, copy data, and say what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(".gpu"))
    parser.add_argument("--python", default="3.12", help="Python version of that machine")
    parser.add_argument(
        "--data", nargs="*", choices=DATA, default=DATA[:3], help="default: all but photos"
    )
    options = parser.parse_args()
    wheels = options.out / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    download([*pinned(LOCKED), *OTHERS], wheels, options.python)
    copy_data(options.out / "data", options.data)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 1e6:.1f} MB")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT / 1e6:.0f} MB")


def pinned(names: tuple[str, ...], lock: Path = Path("requirements.lock")) -> list[str]:
    """Requirements of the lock file with these names."""
    found = {}
    for line in lock.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9_.-]+)==([^\s;]+)", line)
        if match:
            found[match[1].lower().replace("_", "-")] = f"{match[1]}=={match[2]}"
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{lock} has no {', '.join(missing)}")
    return [found[name] for name in names]


def download(requirements: list[str], folder: Path, python: str) -> None:
    """Wheels of the requirements alone, for 64-bit Linux."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_x86_64"]
    subprocess.run([*command, "--dest", str(folder), *requirements], check=True)


def copy_data(folder: Path, names: Sequence[str] = DATA) -> None:
    """The data sets that the entries are trained on, from ``ATTNFLOW_DATA``."""
    source = os.environ.get("ATTNFLOW_DATA")
    if not source:
        print("ATTNFLOW_DATA is not set: no data is packed")
        return
    for name in names:
        path = Path(source) / name
        if path.is_dir():
            shutil.copytree(path, folder / name, dirs_exist_ok=True, copy_function=shutil.copyfile)
        elif path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


if __name__ == "__main__":
    main()
