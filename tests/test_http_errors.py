"""Requests that the HTTP server refuses, and the limits it keeps."""

import io
import socket
import threading
import time
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

from export.runtime import Session
from tests import http_serving
from tests.http_serving import files, png, refused, serving

session, client = http_serving.session, http_serving.client


@pytest.mark.parametrize(
    ("body", "status", "field", "got", "expected"),
    [
        ('{"temperature": NaN}', 422, "temperature", "nan", "finite number"),
        ('{"temperature": -1}', 422, "temperature", "-1", "greater than or equal to 0"),
        ('{"temperature": 11}', 422, "temperature", "11", "less than or equal to 10"),
        ('{"temperature": "hot"}', 422, "temperature", "'hot'", "valid number"),
        ('{"n": 0}', 422, "n", "0", "greater than or equal to 1"),
        ('{"n": 6}', 422, "n", "6 images", "at most 5"),
        ('{"n": "3"}', 422, "n", "'3'", "valid integer"),
        ('{"n": true}', 422, "n", "True", "valid integer"),
        ('{"n": 1.5}', 422, "n", "1.5", "valid integer"),
        ('{"seed": -1}', 422, "seed", "-1", "greater than or equal to 0"),
        ('{"seed": 99999999999999999999}', 422, "seed", "9999", "less than 9223372036854775808"),
        ('{"output": "gif"}', 422, "output", "'gif'", "'grid' or 'list'"),
        ('{"count": 3}', 422, "count", "3", "not permitted"),
        ("[]", 422, "body", "[]", "object"),
        ("{", 400, "body", "EOF", "a JSON object"),
        ("", 400, "body", "EOF", "a JSON object"),
    ],
)
def test_bad_json(client, body, status, field, got, expected):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response = client.post("/sample", content=body, headers=headers)
    refused(response, status, field, got, expected)


def test_the_least_and_the_greatest_are_taken(client):
    body = {"n": 5, "temperature": 0, "seed": 2**63 - 1}
    assert client.post("/sample", json=body).status_code == 200


@pytest.mark.parametrize(
    ("params", "field", "got", "expected"),
    [
        ({"seed": "x"}, "seed", "'x'", "valid integer"),
        ({"seed": -2}, "seed", "-2", "greater than or equal to 0"),
        ({"sed": 2}, "sed", "'2'", "not permitted"),
    ],
)
def test_bad_parameters(client, tiny_images, params, field, got, expected):
    response = client.post("/score", files=files(tiny_images[:1]), params=params)
    refused(response, 422, field, got, expected)


def test_wrong_content_types(client, tiny_images):
    raw = png(tiny_images[0])
    response = client.post("/score", content=raw, headers={"Content-Type": "image/png"})
    refused(response, 415, "Content-Type", "image/png", "multipart/form-data")
    response = client.post("/score", content=raw)
    refused(response, 415, "Content-Type", "none", "multipart/form-data")
    response = client.post("/sample", data={"n": 3})
    refused(response, 415, "Content-Type", "x-www-form-urlencoded", "application/json")
    response = client.post(
        "/score", content=raw, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    refused(response, 400, "body", "multipart", "multipart/form-data")
    response = client.post("/score", content=raw, headers={"Content-Type": "multipart/form-data"})
    refused(response, 400, "body", "boundary", "multipart/form-data")


def test_bad_fields(client, tiny_images):
    response = client.post("/score", files=files(tiny_images[:1], "pictures"))
    refused(response, 422, "pictures", "an unknown field", "files in images")
    response = client.post("/score", files=[("images", (None, "text"))])
    refused(response, 422, "images", "text", "files")
    response = client.post("/round-trip", files=files(tiny_images[:6]))
    refused(response, 413, "images", "6 files", "at most 5")
    response = client.post("/round-trip", files=files(tiny_images[:21]))
    refused(response, 413, "body", "Too many files", "at most 5 files")


WHOLE = png(np.arange(64, dtype="uint8").reshape(8, 8))
GREY = "8x8 pixels, grey, 8 bits"


def bomb(side):
    """A PNG of few bytes whose header says side x side pixels."""
    size = side.to_bytes(4, "big")
    header = b"IHDR" + size + size + WHOLE[24:29]
    return WHOLE[:12] + header + zlib.crc32(header).to_bytes(4, "big") + WHOLE[33:]


BAD_PICTURES = {
    "empty": (b"", 415, "0 bytes that are no PNG", GREY),
    "gif": (b"GIF89a" + bytes(100), 415, "no PNG", GREY),
    "size": (png(np.zeros((8, 9), "uint8")), 422, "9x8 pixels, mode L", GREY),
    "colour": (png(np.zeros((8, 8, 3), "uint8")), 422, "8x8 pixels, mode RGB", GREY),
    "16 bits": (png(np.zeros((8, 8), "uint16")), 422, "mode I;16", GREY),
    "alpha": (png(np.zeros((8, 8, 4), "uint8")), 422, "has transparent pixels", GREY),
    "colours, alpha": (png(np.full((8, 8, 4), (1, 2, 3, 4), "uint8")), 422, "mode RGBA", GREY),
    "cut off": (WHOLE[:-30], 422, "can't be read", GREY),
    "altered": (WHOLE[:44] + b"\xff" * 8 + WHOLE[52:], 422, "can't be read", GREY),
    "no header": (WHOLE[:8] + bytes(40), 415, "no PNG", GREY),
    "pixels": (png(np.zeros((101, 100), "uint8")), 413, "100x101 pixels", "at most 10000 pixels"),
    "bomb": (bomb(20_000), 413, "400000000 pixels", "at most 10000 pixels"),
    "smaller bomb": (bomb(9_000), 413, "9000x9000 pixels", "at most 10000 pixels"),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures(client, tiny_images, case):
    content, status, got, expected = BAD_PICTURES[case]
    sent = [*files(tiny_images[:1]), ("images", ("b.png", content, "image/png"))]
    refused(client.post("/score", files=sent), status, "images[1]", got, expected)


def test_jpegs_are_refused(client):
    content = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), "uint8")).save(content, format="JPEG")
    response = client.post("/score", files=[("images", ("a.png", content.getvalue()))])
    refused(response, 415, "images[0]", "no PNG", GREY)


def test_unknown_paths_and_methods(client):
    refused(client.get("/"), 404, "path", "GET /", "/docs")
    response = client.get("/sample")
    refused(response, 405, "path", "GET /sample", "/docs")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/metrics", "/model", "/docs"])
def test_head_is_get_without_a_body(client, path):
    response = client.head(path)
    assert response.status_code == 200
    assert response.content == b""
    if path != "/metrics":  # which has changed since
        assert response.headers["content-length"] == str(len(client.get(path).content))


def test_an_error_of_the_server_tells_nothing_of_it(session):
    class Broken(Session):
        def run(self, *arguments, **options):
            raise RuntimeError("secret")

    with serving(Broken(session.folder, "cpu")) as client:
        response = client.post("/sample", json={})
        refused(response, 500, "request", "an error of the server", "a result")
        # A connection of its own: the server closes the one that failed.
        assert httpx.get(client.base_url.join("/health")).status_code == 200


def test_results_that_are_not_finite_are_refused(session, tiny_images, caplog):
    class Wild(Session):
        def run(self, graph, inputs):
            outputs = super().run(graph, inputs)
            for name in {"log_prob", "image"} & set(outputs):
                outputs[name][-1] = np.nan
            return outputs

    with serving(Wild(session.folder, "cpu")) as client:
        sent = files(tiny_images[:2])
        finite = "results are finite"
        refused(client.post("/score", files=sent), 422, "request", "images[1] has no", finite)
        refused(client.post("/round-trip", files=sent), 422, "request", "must be finite", finite)
        response = client.post("/sample", json={"temperature": 9})
        refused(response, 422, "request", "sampling at temperature=9.0 gave images", finite)
    assert not caplog.records


def test_a_declared_length_that_is_too_long(client):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = client.post("/score", content=bytes(60_000), headers=headers)
    refused(response, 413, "body", "60000 bytes", "at most 50000 bytes")
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/score", "/sample"])
def test_a_body_without_a_length_is_counted_while_it_comes(client, path):
    kind = "application/json" if path == "/sample" else "multipart/form-data; boundary=x"
    head = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'

    def chunks():
        yield b'{"n": ' if path == "/sample" else head
        for _ in range(20):
            yield b"1" * 5000

    response = client.post(path, content=chunks(), headers={"Content-Type": kind})
    refused(response, 413, "body", "more than 50000 bytes", "at most 50000 bytes")
    assert client.get("/health").status_code == 200


def test_a_body_that_never_ends_is_refused_early(client):
    """The answer comes while the client is still sending."""
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(12):
            connection.sendall(b"1388\r\n" + b" " * 5000 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


class Slow(Session):
    """A session whose graphs take until they are allowed to go on."""

    def run(self, *arguments, **options):
        self.entered.release()
        assert self.gate.wait(20)
        return super().run(*arguments, **options)


def test_the_loop_stays_free_and_requests_are_bounded(session):
    slow = Slow(session.folder, "cpu")
    slow.entered, slow.gate = threading.Semaphore(0), threading.Event()
    statuses = []
    with serving(slow) as client:

        def ask():
            statuses.append(client.post("/sample", json={"seed": 0}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert slow.entered.acquire(timeout=10)
        deadline = time.monotonic() + 10
        while len(statuses) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        # One is at work and one waits.
        assert statuses == [503, 503]
        assert not slow.entered.acquire(blocking=False)
        assert client.get("/health").json() == {"status": "ready"}
        response = client.post("/sample", json={"seed": 0})
        refused(response, 503, "request", "2 that run or wait", "at most 2 at a time")
        assert response.headers["retry-after"] == "1"
        slow.gate.set()
        for thread in threads:
            thread.join(10)
        assert statuses == [503, 503, 200, 200]
        assert client.post("/sample", json={"seed": 0}).status_code == 200
