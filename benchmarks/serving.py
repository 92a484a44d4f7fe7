"""A load test of the HTTP server on this machine.

``python -m benchmarks.serving out/onnx`` starts ``attnflow serve`` twice, with batches that
requests share and without, and lets 1 and 8 clients score and sample one image a request for some
seconds each: requests per second, median and 99th percentile of the time to an answer, errors. Then
it goes beyond the stated limit of requests, where the rest must get 503, and watches the memory of
the server over ``--requests`` requests. Clients and server share the machine's cores.
"""

import argparse
import io
import math
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import seconds

CLIENTS = (1, 8)
LIMIT = 4  # requests inside, where the server is to be overloaded


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="an unconditional export")
    parser.add_argument("--seconds", type=seconds, default=10.0, help="of each measurement")
    parser.add_argument("--requests", type=int, default=10_000, help="of the memory's watch")
    given = parser.parse_args()

    print("| batches | clients | request | requests/s | p50 ms | p99 ms | errors |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for batch in (1, 64):
        with serving(given.folder, "--batch", str(batch)) as (address, _):
            for name, request in requests_of(given.folder).items():
                for clients in CLIENTS:
                    load(address, request, clients, 1.0)  # warm
                    took, statuses = load(address, request, clients, given.seconds)
                    print(_row("shared" if batch > 1 else "none", clients, name, took, statuses))
    with serving(given.folder, "--requests", str(LIMIT)) as (address, process):
        request = requests_of(given.folder)["score"]
        _, statuses = load(address, request, LIMIT, given.seconds)
        print(f"\n{LIMIT} clients at a limit of {LIMIT} requests: {_counts(statuses)}")
        _, statuses = load(address, request, 4 * LIMIT, given.seconds)
        print(f"{4 * LIMIT} clients: {_counts(statuses)}")
        for _ in range(4):
            before = memory(process.pid)
            load(address, request, LIMIT, math.inf, most=given.requests // 4)
            print(f"{given.requests // 4:,} requests: {before:.0f} to {memory(process.pid):.0f} MB")


def _row(batches: str, clients: int, name: str, took: list[float], statuses: Counter) -> str:
    p50, p99 = np.percentile(took, (50, 99)) * 1e3
    rate = len(took) / sum(took) * clients
    errors = sum(count for status, count in statuses.items() if status != 200)
    return f"| {batches} | {clients} | {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {errors} |"


def _counts(statuses: Counter) -> str:
    return ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items()))


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of a server in a process of its own, and that process."""
    command = [sys.executable, "-m", "attnflow_keras.serving", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--connections-per-client", "64", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # "serving ... at http://..., its reference at /docs"
        yield line.split(" at ")[1].split(",")[0], process
    finally:
        process.terminate()
        process.wait(30)


def requests_of(folder: Path) -> dict[str, Callable[[Any], int]]:
    """Name -> a function that sends one request by a client and gives its status."""
    from PIL import Image

    from attnflow_keras.runtime import Session

    image = Session(folder, "cpu").sample(1, seed=0)[0]
    content = io.BytesIO()
    Image.fromarray(np.squeeze(image)).save(content, format="PNG")
    sent = {"images": ("a.png", content.getvalue(), "image/png")}
    return {
        "score": lambda client: client.post("/score", files=sent).status_code,
        "sample": lambda client: client.post("/sample", json={"seed": 1}).status_code,
    }


def load(
    address: str,
    request: Callable[[Any], int],
    clients: int,
    limit: float,
    most: float = math.inf,
) -> tuple[list[float], Counter]:
    """Seconds of each request, and how often each status came.

    Args:
        address: of the server.
        request: sends one.
        clients: threads that send one after another.
        limit: seconds after which no more is sent.
        most: requests of all clients together.
    """
    import httpx

    took: list[float] = []
    statuses: Counter = Counter()
    end = time.monotonic() + limit

    def run() -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            while time.monotonic() < end and len(took) < most:
                start = time.perf_counter()
                status = request(client)
                took.append(time.perf_counter() - start)
                statuses[status] += 1

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, statuses


def memory(pid: int) -> float:
    """Resident megabytes of a process; Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return math.nan


if __name__ == "__main__":
    main()
