"""Export and verify every pretrained entry, and time it beside Keras.

``python -m benchmarks.export`` exports each entry to ONNX, verifies the folder, and times scoring
and sampling in onnxruntime and in compiled Keras, plain and with XLA, in turns: the figure that
counts is the median over rounds of onnxruntime's images per second over those of the faster Keras.
``--write docs/export.md`` keeps the table. Run it on a machine that does nothing else.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.files import write_file
from benchmarks.tables import with_other_rows

TASKS = ("score", "sample")
# onnxruntime's threads go on spinning for a moment after a run.
PAUSE = 0.05
KINDS = 6


def main() -> None:
    """Export, verify and time the entries; print tables and write them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", help="entries; default: all that have weights")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2, help="of onnxruntime and TensorFlow")
    parser.add_argument("--rounds", type=int, default=7, help="paired timings; 0 for none")
    parser.add_argument("--images", type=int, default=64, help="real images to compare on")
    parser.add_argument(
        "--write",
        type=Path,
        help="file for the tables, such as docs/export.md; where it has rows of entries that are "
        "not named now, they stay",
    )
    given = parser.parse_args()
    for name, least in (("batch", 1), ("threads", 1), ("rounds", 0), ("images", 1)):
        if getattr(given, name) < least:
            parser.error(f"--{name} must be at least {least}; got {getattr(given, name)}")

    import zoo

    known = zoo.list(pretrained=True)
    unknown = sorted(set(given.entries) - set(known))
    if unknown:
        parser.error(f"entries must be among {', '.join(known)}; got {', '.join(unknown)}")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    from attnflow_keras.runtime.errors import ExportError

    rows, failed, text = [], [], ""
    for name in given.entries or known:
        try:
            rows.append(measure(name, given))
        except ExportError as error:
            failed.append(f"{name}: {error}")
            continue
        text = report(rows, given)
        if given.write:
            if given.entries and given.write.exists():
                text = with_other_rows(text, given.write.read_text())
            write_file(given.write, text + "\n")
    print(text)
    if failed:
        sys.exit("\n".join(failed))


def measure(name: str, given: Any) -> dict[str, Any]:
    """What the tables say of one entry."""
    import export
    import zoo
    from attnflow_keras.runtime import Session
    from export import fixtures

    print(f"{name}: exporting", flush=True)
    flow = zoo.load(name)
    images, condition = real_data(zoo.info(name), given.images)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "onnx"
        start, processor = time.perf_counter(), time.process_time()
        export.onnx(flow, folder, images=images, condition=condition)
        seconds = time.perf_counter() - start
        processor = time.process_time() - processor
        checks = export.verify(folder)
        session = Session(folder, "cpu", threads=given.threads)
        # On more images than the folder's own fixtures hold.
        recorded = fixtures.record(flow, images, condition, given.images)
        row: dict[str, Any] = {
            "name": name,
            "checks": len(checks),
            "failed": [check.name for check in checks if not check.ok],
            **fixtures.compare(session, recorded),
            "bytes": sum(path.stat().st_size for path in folder.glob("*.onnx")),
            "nodes": {key: graph["nodes"] for key, graph in session.manifest["graphs"].items()},
            "seconds": seconds,
            "processor": processor,
            "timings": {},
            "profiles": {},
        }
        if given.rounds:
            data = [
                part if part is None else np.resize(part, (given.batch, *part.shape[1:]))
                for part in (images, condition)
            ]
            for task in TASKS:
                print(f"{name}: timing {task}", flush=True)
                row["timings"][task] = paired(calls(flow, session, task, *data), given.rounds)
            for graph in ("log_prob", "decode"):
                row["profiles"][graph] = profile(session, graph, *data)
    return row


def real_data(entry: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Test images of an entry's data set and their conditions.

    Those that come with the package if they are enough.
    """
    from zoo.cli.common import bundled_images, load_conditioned

    images, condition = bundled_images(entry) or ((), None)
    if count > len(images):
        images, condition = load_conditioned(entry, f"{entry['dataset']}:test", resize=False)
    return images[:count], None if condition is None else condition[:count]


def calls(
    flow: Any, session: Any, task: str, images: np.ndarray, condition: np.ndarray | None
) -> dict[str, Callable[[], Any]]:
    """One call of each implementation, with the same work in it.

    Conditional entries draw all samples of a batch from one condition.
    """
    n = len(images)
    one = None if condition is None else condition[:1]

    # The public methods of both, so that one function serves flow and session.
    run = {
        "score": lambda model: np.asarray(model.bits_per_dim(images, condition, batch_size=n)),
        "sample": lambda model: model.sample(n, one, seed=0, batch_size=n),
    }[task]

    def keras(jit: bool) -> Callable[[], Any]:
        def call() -> None:
            flow.jit = jit
            run(flow)

        return call

    return {
        "keras": keras(False),
        "keras_xla": keras(True),
        "onnxruntime": lambda: run(session),
    }


def paired(implementations: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, and the median over rounds of the best Keras over onnxruntime."""
    took: dict[str, list[float]] = {name: [] for name in implementations}
    for call in implementations.values():
        call()
        call()
    for _ in range(rounds):
        for name, call in implementations.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            call()
            took[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(seconds)) for name, seconds in took.items()}
    best = min(("keras", "keras_xla"), key=lambda name: medians[name])
    ratios = np.array(took[best]) / np.array(took["onnxruntime"])
    return {**medians, "ratio": float(np.median(ratios)), "xla": best == "keras_xla"}


def profile(
    session: Any, graph: str, images: np.ndarray, condition: np.ndarray | None
) -> list[tuple[str, int, float]]:
    """The kinds of nodes that take most of a graph's time, as (kind, runs, share)."""
    import onnxruntime

    x = session.dequantize(images)
    feed = session.features(condition, len(x))
    if graph == "log_prob":
        feed = {"image": x, **feed}
    else:
        latents = noise.draw_latents(len(x), list(session.latent_shapes), 1.0, 0)
        feed = {**{f"latent_{i}": z for i, z in enumerate(latents)}, **feed}
    with tempfile.TemporaryDirectory() as scratch:
        options = onnxruntime.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "profile")
        options.intra_op_num_threads = session.threads or 0
        path = session.folder / session.manifest["graphs"][graph]["file"]
        runner = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        runner.run(None, feed)
        events = json.loads(Path(runner.end_profiling()).read_text())
    took: dict[str, list[int]] = {}
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        # A loop's time is that of the nodes in its body, which are counted themselves.
        if event["args"]["op_name"] != "Loop":
            took.setdefault(event["args"]["op_name"], []).append(event["dur"])
    total = sum(map(sum, took.values()))
    most = sorted(took, key=lambda kind: -sum(took[kind]))[:KINDS]
    return [(kind, len(took[kind]), sum(took[kind]) / total) for kind in most]


def report(rows: list[dict[str, Any]], given: Any) -> str:
    """The tables, as Markdown."""
    import importlib.metadata
    import os
    import platform

    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime")
    )
    lines = [
        "# Exports of the pretrained entries",
        "",
        f"Written by `python -m benchmarks.export --write docs/export.md` on {os.cpu_count()} CPU "
        f"cores ({platform.machine()}); {versions}.",
        "",
        "## Agreement with Keras",
        "",
        f"Each entry was exported to ONNX in float32, verified, and compared with Keras on "
        f"{given.images} real test images and {given.images} latents drawn from the prior. "
        "Differences are relative to max(1, |value|). log_prob: maximum, in bits per dimension. "
        "Latents and images: 99.9th percentile of the elements. Round trip: maximum of "
        "|decode(encode(x)) - x| in onnxruntime; wrong levels: elements that change by half a "
        "grey level or more. In brackets, images of drawn latents that are others than Keras', "
        "since rounding moved a value across the edge of a grey level that the flow sees; of "
        "these, images holds the error of encode(decode(z)). Nodes: those of loops' bodies "
        "included. Export: time of "
        "`export.onnx`, in brackets the CPU seconds of it.",
        "",
        "| entry | verified | log_prob | latents | images | round trip | wrong levels | size "
        "| nodes (encode, decode, log_prob) | export |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        nodes = ", ".join(f"{row['nodes'][key]:,}" for key in ("encode", "decode", "log_prob"))
        state = f"{row['checks']} checks" if not row["failed"] else f"FAILS: {row['failed']}"
        lines.append(
            f"| {row['name']} | {state} | {row['log_prob']:.1e} | {row['latents']:.1e} | "
            f"{row['image']:.1e}{_others(row)} | {row['round_trip']:.1e} | {row['wrong_levels']} | "
            f"{row['bytes'] / 1e6:.1f} MB | {nodes} | {row['seconds']:.0f} s "
            f"({row['processor']:.0f} s) |"
        )
    timed = [row for row in rows if row["timings"]]
    if not timed:
        return "\n".join(lines)
    lines += [
        "",
        "## Speed",
        "",
        f"Images per second at batch size {given.batch} with {given.threads} threads, from uint8 "
        f"to bits/dim and from a seed to uint8; medians of {given.rounds} rounds in which the "
        "implementations take turns. The ratio is onnxruntime over the faster Keras, median over "
        "rounds.",
        "",
        "| entry | task | Keras | Keras, XLA | onnxruntime | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for row in timed:
        for task, took in row["timings"].items():
            rates = [f"{given.batch / took[key]:.0f}" for key in ("keras", "keras_xla")]
            lines.append(
                f"| {row['name']} | {task} | {' | '.join(rates)} | "
                f"{given.batch / took['onnxruntime']:.0f} | {took['ratio']:.2f} |"
            )
    lines += [
        "",
        "## Where onnxruntime's time goes",
        "",
        "Node types by their share of the time of one run on that batch, with the number of nodes "
        "executed. XLA fuses a chain of elementwise nodes (Mul, Add, Sub, Exp, Where and similar) "
        "into one loop over memory; onnxruntime runs them one by one, and in the inverse of a "
        "mixture coupling once for each step of Newton's method. The profiler counts a million "
        "nodes at most.",
        "",
        "| entry | graph | nodes run |",
        "|---|---|---|",
    ]
    for row in timed:
        for graph, kinds in row["profiles"].items():
            shares = ", ".join(f"{kind} {share:.0%} ({runs:,})" for kind, runs, share in kinds)
            lines.append(f"| {row['name']} | {graph} | {shares} |")
    return "\n".join(lines)


def _others(row: dict[str, Any]) -> str:
    return f" ({row['diverged']})" if row.get("diverged") else ""


if __name__ == "__main__":
    main()
