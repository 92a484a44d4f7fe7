"""Images per second in training, scoring and sampling.

``python -m benchmarks.throughput`` measures the pretrained unconditional entries at their recipe's
batch and the paper's smallest flow (2 steps, width 48, 32x32x3) at batch 16, without attention and
with each; ``--task sr`` those for super-resolution and ``--task translation`` those for label to
photo, which draw 16 images for one condition, ``--task classes`` class-conditional ones;
``--measure jacobi`` decodes causal flows by iterations; ``--onnx`` adds onnxruntime. Every figure
is the best of some calls after a first one, for plain graphs and for XLA; the faster of the two
counts. With ``KERAS_BACKEND=jax`` all is compiled. Run it on a machine that does nothing else.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import write_json
from benchmarks.arguments import PRECISIONS, PRODUCTS, count, seconds, trained_entry

# mAR-SCF's own PyTorch code, measured on a machine whose matrix product reaches 112 GFLOP/s.
REFERENCE = {"train": 2.7, "score": 9.3, "sample": 4.5}
REFERENCE_GFLOPS = 112.0
MEASURES = ("train", "score", "sample")
# Of causal flows alone, beside the sequential sample.
ITERATED = "jacobi"
TASKS = {
    "unconditional": "unconditional",
    "sr": "super-resolution",
    "translation": "label-to-photo",
    "classes": "class-conditional",
}
# What stands for the same flow without attention in an entry's name.
CONTROLS = {
    "cattnflow-imap-sr8": "srflow-sr8",
    "cattnflow-itrans-sr8": "srflow-sr8",
    "cattnflow-imap-landcover": "fullglow-landcover",
    "cattnflow-itrans-landcover": "fullglow-landcover",
    "attnflow-imap": "marflow",
    "attnflow-itrans": "marflow",
}
EXACT = {
    "marflow 2/48": {},
    "attnflow-imap 2/48": {"attention": "imap"},
    "attnflow-itrans 2/48": {
        "attention": "itrans",
        "heads": 5,
        "attention_options": {"expansion": 2},
    },
}


def main() -> None:
    """Measure, print a table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--models", nargs="+", type=_name, help=f"entries, or {', '.join(map(repr, EXACT))}"
    )
    parser.add_argument("--task", choices=TASKS, default="unconditional", help="whose entries")
    parser.add_argument("--measure", nargs="+", choices=CALLS, default=list(MEASURES))
    parser.add_argument("--onnx", action="store_true", help="export, and time onnxruntime too")
    parser.add_argument("--jit", choices=("both", "on", "off"), default="both")
    parser.add_argument(
        "--precision", default="float32", choices=PRECISIONS, help="policy of the flows"
    )
    parser.add_argument(
        "--products", default="float32", choices=PRODUCTS, help="of float32, on an accelerator"
    )
    parser.add_argument("--batch", type=count, help="default: that of the recipe")
    parser.add_argument("--seconds", type=seconds, default=6.0, help="of each measurement")
    parser.add_argument("--matrix", type=count, default=2048, help="side of the product's matrices")
    parser.add_argument("--json", type=Path, help="file to write, after each measurement")
    given = parser.parse_args()
    modes = {"both": (False, True), "on": (True,), "off": (False,)}[given.jit]

    import keras

    import zoo
    from benchmarks.flops import matrix_product_gflops
    from benchmarks.precision import multiply_in, peak_memory

    if keras.backend.backend() == "jax":
        modes = (True,)
        if given.onnx:
            parser.error("--onnx: exports are made by TensorFlow; KERAS_BACKEND is jax")
    multiply_in(given.products)

    names = given.models or zoo.list(task=TASKS[given.task], pretrained=True)
    if not given.models and given.task == "unconditional":
        names += EXACT
    halves = keras.DTypePolicy(given.precision).compute_dtype
    machine = matrix_product_gflops(given.matrix, dtype=halves)
    print(
        f"matrix product: {machine:.0f} GFLOP/s; policy {given.precision}, float32 products in "
        f"{given.products}",
        flush=True,
    )
    content: dict[str, Any] = {
        "matrix_product_gflops": round(machine, 1),
        "precision": given.precision,
        "products": given.products,
    }
    rows: list[dict[str, Any]] = []
    for name in names:
        flow, batch = _model(name, given.precision)
        batch = given.batch or batch
        work = _gflop(flow)
        for task in given.measure:
            if task == ITERATED and not getattr(flow, "causal", False):
                continue
            rates = {
                jit: _rate(CALLS[task](flow, batch, jit), batch, given.seconds) for jit in modes
            }
            best = max(rates, key=lambda jit: rates[jit])
            row = {
                "model": name,
                "task": task,
                "batch": batch,
                "images_per_second": round(rates[best], 2),
                "xla": best,
                # Backward passes count twice the forward one; a sample runs the same networks.
                "gflops": round(rates[best] * work * (3 if task == "train" else 1), 1),
                # Of all measurements so far.
                "peak_gb": peak_memory(),
            }
            rows.append(row)
            print(_line(row, rows, machine), flush=True)
            if given.json:
                write_json(given.json, {**content, "rows": rows})
        if given.onnx:
            for task, rate in _onnxruntime(flow, batch, given.seconds):
                print(f"{name:28} {task:7} batch {batch:3} {rate:8.2f} images/s onnxruntime")


def _name(text: str) -> str:
    return text if text in EXACT else trained_entry(text)


def _model(name: str, precision: str) -> tuple[Any, int]:
    import zoo
    from attnflow_keras.models import MARFlow

    if name in EXACT:
        options = EXACT[name]
        flow = MARFlow((32, 32, 3), levels=3, steps=2, width=48, dtype=precision, **options)
        return flow, 16
    recipe = zoo.info(name).get("training", {}).get("recipe", {})
    return zoo.load(name, dtype=precision), recipe.get("batch_size", 32)


def _data(flow: Any, n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    data = {"image": rng.integers(0, 256, (n, *flow.image_shape)).astype("uint8")}
    if flow.conditional:
        palette = getattr(flow, "palette", None)
        levels = getattr(flow, "classes", 256) if palette is None else len(palette)
        data["condition"] = rng.integers(0, levels, (n, *flow.condition_shape)).astype("uint8")
    return data


def _gflop(flow: Any) -> float:
    """GFLOP of one image's forward pass."""
    from keras import ops

    from benchmarks.flops import count_flops

    data = _data(flow, 1)
    x = ops.convert_to_tensor(flow.dequantize(data["image"]), dtype=flow.variable_dtype)

    def score() -> None:
        features = flow.traced_condition(data["condition"]) if flow.conditional else None
        flow.traced_log_prob(x, features)

    return count_flops(score) / 1e9


def _rate(call: Callable[[], Any], batch: int, seconds: float) -> float:
    """Images per second."""
    call()
    best, spent = math.inf, 0.0
    while spent < seconds:
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return batch / best


def _train(flow: Any, batch: int, jit: bool) -> Callable[[], Any]:
    import keras

    data = _data(flow, batch)
    if not flow.is_adapted:
        flow.adapt(data)
    before = flow.get_weights()
    # A rate that moves nothing far: the same weights are scored afterwards.
    flow.compile(optimizer=keras.optimizers.Adam(1e-8), jit_compile=jit)
    flow.optimizer.build(flow.trainable_variables)
    flow.set_weights(before)
    return lambda: flow.train_on_batch(data)


def _score(flow: Any, batch: int, jit: bool) -> Callable[[], Any]:
    flow.jit = jit
    data = _data(flow, batch)
    x = flow.dequantize(data["image"])
    return lambda: np.asarray(flow.log_prob(x, data.get("condition"), batch_size=batch))


def _sample(flow: Any, batch: int, jit: bool) -> Callable[[], Any]:
    flow.jit = jit
    condition = _data(flow, 1).get("condition")
    return lambda: flow.sample(batch, condition, seed=0, batch_size=batch)


def _jacobi(flow: Any, batch: int, jit: bool) -> Callable[[], Any]:
    flow.jit = jit
    condition = _data(flow, 1).get("condition")
    return lambda: flow.sample(batch, condition, seed=0, batch_size=batch, method=ITERATED)


CALLS = {"train": _train, "score": _score, "sample": _sample, ITERATED: _jacobi}


def _onnxruntime(flow: Any, batch: int, seconds: float) -> Iterator[tuple[str, float]]:
    import export
    from attnflow_keras.runtime import Session

    data = _data(flow, batch)
    x = flow.dequantize(data["image"])
    condition = data.get("condition")
    one = None if condition is None else condition[:1]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "onnx"
        images = flow.sample(4, one, temperature=0.8, seed=0)
        recorded = None if condition is None else np.repeat(one, 4, axis=0)
        export.onnx(flow, folder, images=images, condition=recorded)
        session = Session(folder, "cpu")
        calls = {
            "score": lambda: session.log_prob(x, condition, batch_size=batch),
            "sample": lambda: session.sample(batch, one, seed=0, batch_size=batch),
        }
        for task, call in calls.items():
            yield task, _rate(call, batch, seconds)


def _line(row: dict[str, Any], rows: list[dict[str, Any]], machine: float) -> str:
    text = (
        f"{row['model']:28} {row['task']:7} batch {row['batch']:3} "
        f"{row['images_per_second']:8.2f} images/s {'XLA  ' if row['xla'] else 'plain'} "
        f"{row['gflops']:6.1f} GFLOP/s"
    )
    if row["peak_gb"] is not None:
        text += f", peak {row['peak_gb']:.2f} GB"
    if row["model"] == "marflow 2/48":
        ratio = row["images_per_second"] / REFERENCE[row["task"]]
        text += (
            f"  {ratio:.1f}x the reference ({ratio * REFERENCE_GFLOPS / machine:.1f}x at equal "
            "matrix product)"
        )
    control = _control(row, rows)
    if control:
        overhead = 100 * (control["images_per_second"] / row["images_per_second"] - 1)
        text += f"  attention costs {overhead:+.0f} %"
    return text


def _control(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the same flow without attention, if it has been measured."""
    start = next((s for s in CONTROLS if row["model"].startswith(s)), None)
    if start is None:
        return None
    name = CONTROLS[start] + row["model"].removeprefix(start)
    same = (r for r in rows if r["model"] == name and r["task"] == row["task"])
    return next(same, None)


if __name__ == "__main__":
    main()
