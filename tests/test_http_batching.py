"""Requests that share batches, what is counted of them, and how the server starts and ends."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from attnflow_keras.serving.batching import Batcher
from attnflow_keras.serving.limits import Limits, Refusal, checked
from attnflow_keras.serving.metrics import Metrics
from attnflow_keras.serving.server import listening, serve
from tests import http_serving
from tests.http_serving import files, listed, refused, serving
from zoo.cli.app import app

session, client = http_serving.session, http_serving.client


class Slow:
    """A session whose graph waits until it is let go, and which keeps what it was given."""

    condition_kind = None

    def __init__(self):
        self.go = threading.Event()
        self.sizes = []

    def run(self, graph, inputs):
        self.go.wait(10)
        self.sizes.append((graph, len(inputs["x"])))
        if np.isnan(inputs["x"]).any():
            raise ValueError("NaN")
        return {"y": inputs["x"] * 2}


def gathered(sizes, limits, graphs=None):
    """What concurrent requests of these sizes get, and the batches that were run."""
    slow = Slow()

    async def main():
        batcher = Batcher(slow, limits, Metrics())

        async def request(i, n):
            async with batcher.place():
                graph = graphs[i] if graphs else "log_prob"
                return await batcher.run(graph, {"x": np.full((n, 1), i, "float32")})

        tasks = [asyncio.create_task(request(i, n)) for i, n in enumerate(sizes)]
        await asyncio.sleep(0.1)
        slow.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(main()), slow.sizes


def test_requests_that_wait_share_a_batch():
    found, batches = gathered([1, 2, 3, 4], Limits(batch=6))
    for i, outputs in enumerate(found):
        np.testing.assert_array_equal(outputs["y"], np.full((i + 1, 1), 2 * i))
    # Three fit together; the last was too large for that batch.
    assert batches == [("log_prob", 6), ("log_prob", 4)]


def test_only_requests_of_one_graph_share_it():
    _, batches = gathered([1, 1, 1], Limits(), ["decode", "encode", "decode"])
    assert batches == [("decode", 2), ("encode", 1)]


def test_too_many_requests_are_refused():
    found, _ = gathered([1, 1, 1], Limits(requests=2))
    assert [isinstance(one, Refusal) for one in found] == [False, False, True]
    assert found[2].status == 503


def test_an_error_reaches_its_request_and_the_next_ones_run():
    slow = Slow()
    slow.go.set()

    async def main():
        batcher = Batcher(slow, Limits(), Metrics())
        with pytest.raises(ValueError, match="NaN"):
            await batcher.run("log_prob", {"x": np.full((1, 1), np.nan, "float32")})
        return await batcher.run("log_prob", {"x": np.ones((1, 1), "float32")})

    assert asyncio.run(main())["y"] == 2


def test_a_request_whose_client_has_gone_is_not_computed():
    slow = Slow()

    async def main():
        batcher = Batcher(slow, Limits(), Metrics())
        tasks = [
            asyncio.create_task(batcher.run(graph, {"x": np.ones((1, 1), "float32")}))
            for graph in ("encode", "decode")
        ]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await asyncio.sleep(0.05)
        slow.go.set()
        await tasks[0]
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert slow.sizes == [("encode", 1)]


def test_concurrent_clients_get_what_they_would_get_alone(client, session):
    found = {}

    def draw(seed):
        wanted = {"n": 1, "seed": seed, "output": "list"}
        found[seed] = listed(client.post("/sample", json=wanted))

    with serving(session, Limits()) as client:
        threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for seed in range(8):
        expected = session.sample(1, seed=seed).astype(int)
        # Sums of another batch size may round otherwise.
        assert np.abs(found[seed].astype(int) - expected).max() <= 1


def test_what_is_counted(client, tiny_images):
    client.post("/score", files=files(tiny_images[:3]))
    client.get("/no/such/path")
    text = client.get("/metrics").text
    assert 'attnflow_requests_total{path="/score",status="200"}' in text
    assert 'attnflow_requests_total{path="other",status="404"}' in text
    assert 'attnflow_batch_images_count{graph="log_prob"}' in text
    assert 'attnflow_request_seconds_count{path="/score"}' in text
    assert client.get("/healthz").json() == {"status": "ready"}


def test_the_reference_shows_bodies_and_examples(client):
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/sample"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == {"n": 16, "temperature": 0.8, "seed": 0}
    body = paths["/score"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(body["schema"]["properties"]) == {"images", "conditions"}
    assert "503" in paths["/score"]["post"]["responses"]
    found = client.get("/docs")
    assert found.headers["content-type"].startswith("text/html")
    for path in paths:
        assert f" {path}</h2>" in found.text
    assert "&quot;temperature&quot;: 0.8" in found.text  # the example
    assert "at least 0, 0 if not given" in found.text  # the seed of scores


def test_the_reference_loads_nothing_from_elsewhere(client):
    found = client.get("/docs").text
    assert re.findall(r"""(?:src|href)\s*=\s*["']?([^"'>]*)""", found) == ["openapi.json"]
    assert not [sign for sign in ("//", "@import", "url(", "<script") if sign in found]
    refused(client.get("/redoc"), 404, "path", "GET /redoc", "/docs")


def test_a_label_of_an_export_without_classes(client):
    response = client.post("/sample", json={"label": 3})
    refused(response, 422, "label", "3", "none, this export is unconditional")


@pytest.mark.parametrize("name", ["requests", "batch", "body_seconds"])
def test_limits_that_nothing_meets(name, small_export):
    with pytest.raises(ValueError, match=f"{name} must be"):
        checked(Limits()._replace(**{name: 0}))
    with pytest.raises(ValueError, match=f"{name} must be"):
        serve(small_export, port=0, **{name: -1})


def test_a_port_that_is_taken(small_export):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}: Address already"):
            listening("127.0.0.1", port)
        result = CliRunner().invoke(app, ["serve", str(small_export), "--port", str(port)])
        assert isinstance(result.exception, OSError)
        with pytest.raises(OSError, match="can't listen on no.such.host.invalid:80"):
            listening("no.such.host.invalid", 80)


def test_answers_do_not_wait_for_acknowledgements():
    """asyncio sends small packets at once on sockets whose protocol is stated."""
    with listening("127.0.0.1", 0) as found:
        assert found.proto == socket.IPPROTO_TCP


def test_no_export(tmp_path):
    result = CliRunner().invoke(app, ["serve", str(tmp_path)])
    assert "is not an export" in str(result.exception)


SLOW = """
import signal, sys, time
from attnflow_keras.runtime import Session
from zoo.cli.app import main

# A suite in the background may have been started without Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
run = Session.run

def slow(*arguments, **options):
    print("at work", flush=True)
    time.sleep(4)  # longer than other commands have after Ctrl-C
    return run(*arguments, **options)

Session.run = slow
sys.argv[1:] = ["serve", sys.argv[1], "--port", "0"]
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("given", "status"), [("SIGINT", 130), ("SIGTERM", -15)])
def test_requests_in_flight_are_answered_before_it_ends(given, status, small_export):
    command = [sys.executable, "-c", SLOW, str(small_export)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    answers = []
    with subprocess.Popen(command, **pipes) as process:
        try:
            address = process.stdout.readline().partition(" at ")[2].partition(",")[0]

            def ask():
                answers.append(httpx.post(f"{address}/sample", json={"n": 1}, timeout=60))

            client = threading.Thread(target=ask)
            client.start()
            assert process.stdout.readline() == "at work\n"
            process.send_signal(getattr(signal, given))
            client.join()
            error = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert answers[0].status_code == 200
    assert process.returncode == status
    assert ("interrupted; the server has stopped" in error) == (given == "SIGINT")
