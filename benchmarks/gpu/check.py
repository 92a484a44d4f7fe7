"""Whether an accelerator gives the CPU's figures: pretrained entries, then the layer table.

    KERAS_BACKEND=jax python -m benchmarks.gpu.check --out OUT --seconds 60

scores entries on the test splits that their metadata records, in each of four precisions, and
compares with what is recorded; then maps a batch by every layer of the tests' table, in float32
with and without TensorFloat-32, and compares with the same layer in a process on the CPU. Each
result is appended to ``OUT/check.jsonl`` as it is found; what the time is too short for is left.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import write_file
from benchmarks.arguments import PRODUCTS, seconds, trained_entry

ENTRIES = ("attnflow-causal-mnist", "attnflow-imap-mnist", "cattnflow-imap-sr8-bluemarble")
# Policy of the flow, and how float32 is multiplied.
PRECISIONS = (
    ("float32", "float32"),
    ("float32", "tf32"),
    ("mixed_bfloat16", "tf32"),
    ("mixed_float16", "tf32"),
)


def main() -> None:
    """Compare, and write each result as it is found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of check.jsonl")
    parser.add_argument("--seconds", type=seconds, default=60.0)
    parser.add_argument("--entries", nargs="*", type=trained_entry, default=list(ENTRIES))
    parser.add_argument("--layers", nargs="*", help="default: all")
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    from tests.layer_table import LAYERS

    names = sorted(LAYERS) if given.layers is None else given.layers
    if given.reference:
        for name in names:
            _save(given.reference / f"{name}.npz", layer_outputs(name))
        return
    start = time.monotonic()
    given.out.mkdir(parents=True, exist_ok=True)
    reference = given.out / "reference"
    on_cpu = _on_cpu(reference, names)
    try:
        for row in checks(given.entries, names, reference):
            with (given.out / "check.jsonl").open("a") as file:
                print(json.dumps(row), file=file)
            print(json.dumps(row), flush=True)
            if time.monotonic() - start > given.seconds:
                print(f"ended after {given.seconds:g} s", flush=True)
                break
    finally:
        on_cpu.kill()
        on_cpu.wait()


def checks(entries: list[str], layers: list[str], reference: Path) -> Iterator[dict[str, Any]]:
    """One row after the other: of entries in each precision, of layers in float32 and TF32."""
    from benchmarks.precision import multiply_in, peak_memory

    for policy, products in PRECISIONS:
        multiply_in(products)
        for name in entries:
            row = {"entry": name, "policy": policy, "products": products}
            yield {**row, **score(name, policy), "peak_gb": peak_memory()}
    for name in layers:
        expected = _load(reference / f"{name}.npz")
        if expected is None:
            yield {"layer": name, "left": "not computed on the CPU"}
            continue
        for products in PRODUCTS:
            multiply_in(products)
            found = layer_outputs(name)
            yield {
                "layer": name,
                "products": products,
                **{key: _difference(found[key], expected[key]) for key in found},
            }


def score(name: str, policy: str) -> dict[str, Any]:
    """Recorded and new bits/dim of the whole test split, and seconds with compilation."""
    import zoo
    from benchmarks.recorded import scores

    start = time.perf_counter()
    flow = zoo.load(name, dtype=policy)
    split, recorded, found = next(scores(name, flow))
    return {
        "split": split,
        "recorded": recorded,
        "found": round(found, 5),
        "seconds": round(time.perf_counter() - start, 1),
    }


def layer_outputs(name: str) -> dict[str, np.ndarray]:
    """Outputs, log-determinants and the round trip of a layer of the tests' table, in float32."""
    import keras
    from keras import ops

    from attnflow_keras.flow.compiled import CompiledMethods
    from tests.layer_table import build

    keras.utils.set_random_seed(0)
    layer, shape, channels = build(name, "float32")
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        moved = ops.convert_to_numpy(variable) + 0.1 * rng.normal(size=variable.shape)
        variable.assign(moved.astype("float32"))
    x = rng.normal(size=(2, *shape)).astype("float32")
    given = [x]
    if channels:
        sides = layer.condition_sides(shape[:2])
        given.append(rng.normal(size=(2, *sides, channels)).astype("float32"))

    def both_ways(x: Any, *condition: Any) -> Any:
        own = {"condition": condition[0]} if condition else {}
        y, log_det = layer(x, **own)
        return y, log_det, layer(y, inverse=True, **own)[0]

    keys = ("outputs", "log_det", "round_trip")
    found = CompiledMethods().run(name, both_ways, tuple(given), len(x))
    return {key: np.asarray(ops.convert_to_numpy(f)) for key, f in zip(keys, found, strict=True)}


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest one, relative to max(1, |expected|)."""
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1.0)))


def _on_cpu(folder: Path, names: list[str]) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu.check", "--out", str(folder)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*command, "--reference", str(folder), "--layers", *names],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_file(path, content.getvalue())


def _load(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return dict(arrays)


if __name__ == "__main__":
    main()
