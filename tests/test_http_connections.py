"""Connections that are slow, many or malformed, over real sockets on the loopback."""

import asyncio
import json
import logging
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from fastapi import FastAPI, Request

from attnflow_keras.serving.limits import Limits, guard
from tests.http_serving import in_thread, port_of

SLOW = Limits(header_seconds=0.4, body_seconds=0.6, write_seconds=0.6)
PARTIAL = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def make_api(limits):
    api = FastAPI()
    guard(api, limits)
    api.state.gate, api.state.entered = threading.Event(), threading.Semaphore(0)

    @api.get("/health")
    async def health():
        return {"status": "ready"}

    @api.post("/echo")
    async def echo(request: Request):
        return {"bytes": len(await request.body())}

    @api.post("/early")
    async def early():
        return {"status": "not read"}

    @api.get("/wait")
    async def wait():
        api.state.entered.release()
        await asyncio.to_thread(api.state.gate.wait, 20)
        return {"status": "done"}

    @api.get("/large")
    async def large():
        return {"text": "x" * 20_000_000}

    return api


class Running:
    def __init__(self, server, api):
        self.server, self.api = server, api
        self.port = port_of(server)

    def connect(self, source="127.0.0.1"):
        return socket.create_connection(("127.0.0.1", self.port), 10, source_address=(source, 0))

    def ask(self, data, source="127.0.0.1"):
        """Status, headers in lower case and JSON of the answer to some bytes."""
        with self.connect(source) as connection:
            connection.sendall(data)
            return answer(connection)

    def held(self):
        return len(self.server.server_state.connections)


@contextmanager
def serving(limits):
    api = make_api(limits)
    with in_thread(api, limits, "warning") as server:
        yield Running(server, api)


@pytest.fixture(scope="module")
def slow():
    with serving(SLOW) as running:
        yield running


def answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, f"the connection ended after {data!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    length = int(headers["content-length"])
    while len(body) < length:
        body += connection.recv(65536)
    # The answer to a second request may have come with it.
    return int(lines[0].split()[1]), headers, json.loads(body[:length])


def ended(connection, within):
    """Whether the server ends the connection in time."""
    connection.settimeout(within)
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def refused(found, status, field, got, expected):
    code, headers, content = found
    assert code == status, content
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert set(content["error"]) == {"field", "got", "expected"}
    assert content["error"]["field"] == field
    assert got in content["error"]["got"]
    assert expected in content["error"]["expected"]


# --- time --------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: x\r\n"])
def test_headers_come_in_time(slow, sent):
    with slow.connect() as connection:
        connection.sendall(sent)
        started = time.monotonic()
        refused(answer(connection), 408, "request", "no complete headers within 0.4 s", "in that")
        assert 0.3 < time.monotonic() - started < 2
        assert ended(connection, 3)


def test_headers_that_trickle_in_are_too_late(slow):
    with slow.connect() as connection:
        connection.settimeout(0.1)
        for byte in HEALTH[:-2]:
            connection.sendall(bytes([byte]))
            try:
                head = connection.recv(100)
                break
            except TimeoutError:
                continue
        assert head.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("sent", [PARTIAL, CHUNKED, CHUNKED + b"5\r\nabcde\r\n"])
def test_bodies_come_in_time(slow, caplog, sent):
    started = time.monotonic()
    refused(slow.ask(sent), 408, "request", "no complete body within 0.6 s", "the whole body")
    assert 0.5 < time.monotonic() - started < 2
    assert not caplog.records


def test_a_body_that_nobody_reads_comes_in_time_too(slow):
    with slow.connect() as connection:
        connection.sendall(PARTIAL.replace(b"/echo", b"/early"))
        assert answer(connection)[0] == 200
        assert ended(connection, 3)


def test_bytes_between_requests_do_not_hold_a_connection(slow):
    with slow.connect() as connection:
        connection.sendall(HEALTH)
        assert answer(connection)[0] == 200
        connection.sendall(b"\r\n")
        assert ended(connection, 3)


def test_an_answer_is_taken_in_time(slow):
    with slow.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1).startswith(b"H")
        started = time.monotonic()
        while slow.held() and time.monotonic() < started + 10:
            time.sleep(0.05)
        # Before uvicorn's keep-alive timer, which would wait for the answer to be read.
        assert time.monotonic() - started < 4


def test_work_takes_its_time_and_connections_are_kept(slow):
    with slow.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            threading.Timer(1.2, slow.api.state.gate.set).start()
            assert answer(connection)[0] == 200
            # Quiet between requests for longer than headers may take.
            time.sleep(0.6)
        connection.sendall(PARTIAL + b"67890" + HEALTH)
        assert answer(connection)[2] == {"bytes": 10}


# --- numbers -----------------------------------------------------------------------------


def test_silent_connections_keep_nobody_out_for_long():
    limits = SLOW._replace(header_seconds=2.0, connections=64, connections_per_client=65)
    with serving(limits) as running, ExitStack() as silent:
        for _ in range(64):
            silent.enter_context(running.connect())
        time.sleep(0.1)
        refused(running.ask(HEALTH), 503, "connection", "one beside 64", "at most 64 in all")
        deadline = time.monotonic() + 10
        while running.ask(HEALTH)[0] != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert running.ask(HEALTH)[0] == 200
        # Those that were answered and still hang on are cut.
        while running.held() > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running.held() <= 1


def test_one_client_leaves_room_for_others():
    limits = Limits(connections=10, connections_per_client=3)
    with serving(limits) as running, ExitStack() as silent:
        for _ in range(3):
            silent.enter_context(running.connect())
        time.sleep(0.1)
        for _ in range(5):
            found = running.ask(HEALTH)
            refused(found, 429, "connection", "one beside 3", "at most 3 of this client at a time")
            assert found[1]["retry-after"] == "1"
        assert running.ask(HEALTH, "127.0.0.2")[0] == 200
        silent.close()
        time.sleep(0.2)
        assert running.ask(HEALTH)[0] == 200


def test_limits_hold_under_any_uvicorn():
    """As ``uvicorn --http attnflow_keras.serving.connections:Connection`` has them."""
    config = uvicorn.Config(
        make_api(Limits()), http="attnflow_keras.serving.connections:Connection"
    )
    config.load()
    assert config.http_protocol_class.limits == Limits()


# --- parser ------------------------------------------------------------------------------

MALFORMED = {
    "no http": (b"hello\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", 400),
    "length": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n", 400),
    "two lengths": (HEALTH[:-2] + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "coding": (HEALTH[:-2] + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "header": (b"GET /health HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
    "long header": (HEALTH[:-2] + b"A: " + b"a" * 100_000, 431),
    "chunk": (CHUNKED + b"zz\r\nabc\r\n", 400),
    "second chunk": (CHUNKED + b"3\r\nabc\r\n-1\r\nabc\r\n", 400),
    "chunk's end": (CHUNKED + b"3\r\nabcdef\r\n", 400),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_can_not_be_parsed_gets_json(slow, caplog, case):
    sent, status = MALFORMED[case]
    found = slow.ask(sent)
    refused(found, status, "request", "", "a well-formed HTTP/1.1 request")
    assert found[2]["error"]["got"].isprintable()
    assert "bytearray" not in found[2]["error"]["got"]
    time.sleep(0.05)
    assert [record.getMessage() for record in caplog.records] == ["Invalid HTTP request received."]
    assert not any(record.exc_info for record in caplog.records)
    assert slow.ask(HEALTH)[0] == 200


def test_a_malformed_chunk_after_the_answer_ends_the_connection(slow, caplog):
    with slow.connect() as connection:
        connection.sendall(CHUNKED.replace(b"/echo", b"/early"))
        assert answer(connection)[0] == 200
        connection.sendall(b"zz\r\n")
        assert ended(connection, 2)
    assert not any(record.exc_info for record in caplog.records)


def test_a_client_that_leaves_in_the_middle_is_no_error(slow, caplog):
    for sent in (b"", HEALTH[:20], PARTIAL, CHUNKED):
        with slow.connect() as connection:
            connection.sendall(sent)
    time.sleep(0.2)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_head_and_upgrades(slow):
    with slow.connect() as connection:
        connection.sendall(HEALTH.replace(b"GET", b"HEAD"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 405")
    with slow.connect() as connection:
        connection.sendall(HEALTH.replace(b"GET", b"HEAD")[:-2] + b"Content-Length: 9\r\n\r\nx")
        assert ended(connection, 3)
    upgrade = HEALTH[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert slow.ask(upgrade)[2] == {"status": "ready"}


# --- shutdown ----------------------------------------------------------------------------


def test_requests_in_flight_are_answered_before_the_server_stops():
    with serving(Limits(body_seconds=1.0)) as running, ExitStack() as opened:
        asked = [opened.enter_context(running.connect()) for _ in range(5)]
        for connection in asked:
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            assert running.api.state.entered.acquire(timeout=10)
        silent, sending = (opened.enter_context(running.connect()) for _ in range(2))
        sending.sendall(PARTIAL)
        time.sleep(0.1)
        # What a SIGTERM sets.
        running.server.should_exit = True
        assert ended(silent, 3)
        refused(answer(sending), 408, "request", "no complete body", "the whole body")
        with pytest.raises(ConnectionError):
            running.connect()
        running.api.state.gate.set()
        for connection in asked:
            assert answer(connection)[2] == {"status": "done"}
            assert ended(connection, 3)
