"""Latency and throughput of an export, by task and batch size; NumPy and onnxruntime alone."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.runtime import Session
from export import fixtures

TASKS = ("score", "sample", "encode", "decode")


class Timing(NamedTuple):
    """Seconds of one call with a batch: median and 90th percentile; images per second at median."""

    task: str
    batch: int
    median: float
    p90: float
    images_per_second: float


def measure(
    session: Session,
    batches: Any = (1, 16, 64),
    tasks: Any = TASKS,
    seconds: float = 2.0,
) -> Iterator[Timing]:
    """Time a session; one row for each task and batch size, as they come.

    A conditional export works on a condition of its fixtures, the same one for a whole batch; its
    features are part of ``score`` and ``sample``, and made beforehand for the other two.

    Args:
        session: the export.
        batches: batch sizes.
        tasks: some of ``score``, ``sample``, ``encode``, ``decode``.
        seconds: of each measurement, after one call that doesn't count.

    Raises:
        ValueError: an unknown task or a batch below 1.
    """
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown:
        raise ValueError(f"tasks must be some of {', '.join(TASKS)}; got {', '.join(unknown)}")
    for batch in batches:
        check_integer("batches", batch)
    calls = {batch: _calls(session, batch) for batch in batches}
    for task in tasks:
        for batch in batches:
            took = timed(calls[batch][task], seconds)
            median = float(np.median(took))
            yield Timing(task, batch, median, float(np.quantile(took, 0.9)), batch / median)


def timed(call: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds of each call, for some time after one that doesn't count; at least three."""
    call()
    took: list[float] = []
    while len(took) < 3 or sum(took) < seconds:
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return took


def _calls(session: Session, batch: int) -> dict[str, Callable[[], Any]]:
    """One call of each of ``TASKS``."""
    rng = np.random.default_rng(0)
    condition = None
    if session.conditional:
        condition = fixtures.load(session.folder)["condition"][:1]
    features = session.features(condition, batch) or None
    latents = tuple(
        rng.standard_normal((batch, *s), dtype=np.float32) for s in session.latent_shapes
    )
    x = session.dequantize(session.sample(batch, features, temperature=0.8, seed=0))
    return {
        "score": lambda: session.log_prob(x, condition, batch_size=batch),
        "sample": lambda: session.sample(batch, condition, seed=0, batch_size=batch),
        "encode": lambda: session.encode(x, features, batch_size=batch),
        "decode": lambda: session.decode(latents, features, batch_size=batch),
    }
