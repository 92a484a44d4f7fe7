"""Graphs run for several requests at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from fastapi.concurrency import run_in_threadpool

from attnflow_keras.runtime import Session
from attnflow_keras.serving.limits import Limits, Refusal
from attnflow_keras.serving.metrics import Metrics

Arrays = dict[str, np.ndarray]


@dataclass(eq=False)
class Job:
    """A graph to run for one request."""

    graph: str
    inputs: Arrays
    result: asyncio.Future = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


class Batcher:
    """Runs a session's graphs in one thread, batch by batch.

    onnxruntime uses all cores for one batch; two at once would only slow each other down. While
    one runs, requests gather, and those that want the same graph share the next batch: for small
    images that costs little more than one of them alone. Nobody waits for others to come.

    Args:
        session: the export.
        limits: how many requests may be inside, and how many images a batch has at most.
        metrics: where batches are counted.
    """

    def __init__(self, session: Session, limits: Limits, metrics: Metrics) -> None:
        self.session, self.limits, self.metrics = session, limits, metrics
        self.inside = 0
        self._waiting: deque[Job] = deque()
        self._work: asyncio.Task | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A request's place; Refusal when too many have one."""
        most = self.limits.requests
        if self.inside >= most:
            got = f"a request beside {self.inside} that run or wait"
            expected = f"at most {most} at a time; try again"
            raise Refusal(503, "request", got, expected, **{"Retry-After": "1"})
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def run(self, graph: str, inputs: Arrays) -> Arrays:
        """Outputs of a graph for this request's images."""
        job = Job(graph, inputs)
        self._waiting.append(job)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run_waiting())
        return await job.result

    async def features(self, condition: np.ndarray | None) -> Arrays:
        """Named features of conditions; none for an unconditional export."""
        if condition is None:
            return {}
        kind = self.session.condition_kind
        assert kind is not None
        return await self.run("condition", {"condition": kind.plain(condition)})

    async def decode(self, latents: tuple[np.ndarray, ...], features: Arrays) -> np.ndarray:
        """Float images."""
        inputs = {f"latent_{i}": z for i, z in enumerate(latents)}
        return (await self.run("decode", {**inputs, **features}))["image"]

    async def _run_waiting(self) -> None:
        while self._waiting:
            jobs = self._next()
            if not jobs:
                continue
            self.metrics.batch(jobs[0].graph, sum(map(len, jobs)))
            try:
                parts = await run_in_threadpool(self._together, jobs)
            except Exception as error:
                for job in jobs:
                    if not job.result.done():
                        job.result.set_exception(error)
                continue
            for job, outputs in zip(jobs, parts, strict=True):
                if not job.result.done():
                    job.result.set_result(outputs)

    def _next(self) -> list[Job]:
        """The job that waits longest, and others that can share its batch."""
        first = self._waiting.popleft()
        if first.result.done():  # its client has gone
            return []
        jobs, count = [first], len(first)
        for job in list(self._waiting):
            fits = job.graph == first.graph and count + len(job) <= self.limits.batch
            if fits and not job.result.done():
                self._waiting.remove(job)
                jobs.append(job)
                count += len(job)
        return jobs

    def _together(self, jobs: list[Job]) -> list[Arrays]:
        names = jobs[0].inputs
        inputs = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in names}
        outputs = self.session.run(jobs[0].graph, inputs)
        ends = np.cumsum([len(job) for job in jobs])[:-1]
        split = {name: np.split(value, ends) for name, value in outputs.items()}
        return [{name: parts[i] for name, parts in split.items()} for i in range(len(jobs))]
