"""The HTTP example over a real socket, compared with the session it serves."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

import export
from examples import http_server
from examples.http_server import Limits, make_app
from export.http_connections import settings
from export.runtime import Session
from tests.helpers import grey_png, perturb, png_chunk
from tests.test_flow_errors import ConditionalFlow

ROOT = Path(__file__).parent.parent
LIMITS = Limits(images=5, body_bytes=50_000, pixels=10_000, requests=2)


class Restorer(ConditionalFlow):
    """RGB images given others, which are uint8 images too."""

    condition_shape = (4, 4, 3)
    condition_dtype = "uint8"

    def __init__(self, image_shape=(4, 4, 3), **kwargs):
        super().__init__(image_shape, **kwargs)

    def traced_condition(self, condition):
        from keras import ops

        return ops.cast(condition, "float32") / 255.0


@contextmanager
def serving(session, limits=LIMITS):
    """A client of a server in a thread."""
    app = make_app(session, limits)
    config = uvicorn.Config(app, port=0, log_level="error", **settings(limits))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def folder(small_export):
    return small_export


@pytest.fixture(scope="module")
def session(folder):
    return Session(folder, "cpu")


@pytest.fixture(scope="module")
def client(session):
    with serving(session) as client:
        yield client


def png(image, **options):
    content = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(np.squeeze(image))
    picture.save(content, format="PNG", **options)
    return content.getvalue()


def pixels(content):
    array = np.asarray(Image.open(io.BytesIO(content)))
    return array[..., None] if array.ndim == 2 else array


def files(images, field="images"):
    return [(field, (f"{i}.png", png(image), "image/png")) for i, image in enumerate(images)]


def listed(response):
    assert response.status_code == 200, response.text
    return np.stack([pixels(base64.b64decode(text)) for text in response.json()["images"]])


def refused(response, status, field, got, expected):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"field", "got", "expected"}
    assert error["field"] == field
    assert got in error["got"]
    assert expected in error["expected"]


# --- endpoints ---------------------------------------------------------------------------


def test_health_and_model(client, session):
    assert client.get("/health").json() == {"status": "ready"}
    model = client.get("/model").json()
    assert model["name"] == "tiny"
    assert model["image"]["shape"] == [8, 8, 1]
    assert model["latents"] == session.manifest["latents"]
    assert model["condition"] is None
    assert model["limits"] == LIMITS._asdict()


def test_score_checks_the_round_trip_if_asked_to(client, tiny_images):
    sent = files(tiny_images[:2])
    plain = client.post("/score", files=sent).json()["images"]
    checked = client.post("/score", files=sent, params={"check": True}).json()["images"]
    for before, after in zip(plain, checked, strict=True):
        assert after.pop("exact") is True
        assert 0 <= after.pop("round_trip_error") < 0.5
        assert after == before


@pytest.mark.parametrize("n", [1, 5])
def test_score(client, session, tiny_images, n):
    images = tiny_images[:n]
    response = client.post("/score", files=files(images), params={"seed": 3})
    assert response.status_code == 200, response.text
    found = response.json()["images"]
    assert [one["name"] for one in found] == [f"{i}.png" for i in range(n)]
    for key in ("log_prob", "bits_per_dim"):
        expected = getattr(session, key)(images, seed=3)
        np.testing.assert_array_equal(np.float32([one[key] for one in found]), expected)


def test_a_seed_is_zero_unless_given(client, session, tiny_images):
    found = client.post("/score", files=files(tiny_images[:2])).json()["images"]
    expected = session.log_prob(tiny_images[:2], seed=0)
    np.testing.assert_array_equal(np.float32([one["log_prob"] for one in found]), expected)


def test_sample(client, session):
    expected = session.sample(5, temperature=0.8, seed=7)
    wanted = {"n": 5, "temperature": 0.8, "seed": 7}
    response = client.post("/sample", json={**wanted, "output": "list"})
    np.testing.assert_array_equal(listed(response), expected)
    response = client.post("/sample", json=wanted)
    assert response.headers["content-type"] == "image/png"
    sheet = pixels(response.content)
    assert sheet.shape == (16, 24, 1)
    np.testing.assert_array_equal(sheet[:8, 8:16], expected[1])
    np.testing.assert_array_equal(sheet[8:, :8], expected[3])
    assert not sheet[8:, 16:].any()


def test_sample_without_arguments_draws_one_image_anew(client):
    one, other = (client.post("/sample", json={}).content for _ in range(2))
    assert pixels(one).shape == (8, 8, 1)
    assert one != other


def test_a_round_trip_gives_every_grey_level_back(client, tiny_images):
    images = tiny_images[:3]
    response = client.post("/round-trip", files=files(images), params={"output": "list"})
    np.testing.assert_array_equal(listed(response), images)
    assert response.json()["wrong_levels"] == [0, 0, 0]
    sheet = pixels(client.post("/round-trip", files=files(images)).content)
    np.testing.assert_array_equal(sheet[8:, :8], images[2])


def test_pngs_of_two_levels_are_taken(client, session, tiny_images):
    image = np.uint8(255) * (tiny_images[:1] > 100)
    picture = Image.fromarray(image[0, ..., 0]).convert("1")
    response = client.post("/score", files=[("images", ("a.png", png(picture)))])
    expected = session.log_prob(image)
    assert np.float32(response.json()["images"][0]["log_prob"]) == expected[0]


def test_pngs_are_turned_upright_as_everywhere(client, session, tiny_images):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(tiny_images[0, ..., 0]))
    sent = [("images", ("a.png", png(turned, exif=exif)))]
    response = client.post("/score", files=sent)
    expected = session.log_prob(tiny_images[:1])
    assert np.float32(response.json()["images"][0]["log_prob"]) == expected[0]
    response = client.post("/round-trip", files=sent, params={"output": "list"})
    np.testing.assert_array_equal(listed(response), tiny_images[:1])


def test_transparent_pngs_are_refused(client, tiny_images):
    content = png(tiny_images[0], transparency=int(tiny_images[0, 0, 0, 0]))
    response = client.post("/score", files=[("images", ("a.png", content))])
    refused(response, 422, "images[0]", "has transparent pixels", "8x8 pixels, grey")
    assert "(?background=white)" in response.json()["error"]["expected"]


def test_a_background_is_laid_behind_transparent_pixels(client, session, tiny_images):
    """As on the command line: a digit may live in the alpha channel alone."""
    level = tiny_images[0, ..., 0]
    ink = np.zeros_like(level)
    for content in (
        png(np.stack([ink, ink, ink, 255 - level], axis=-1)),
        png(Image.merge("LA", [Image.fromarray(part) for part in (ink, 255 - level)])),
    ):
        sent = [("images", ("a.png", content))]
        response = client.post("/round-trip?output=list&background=white", files=sent)
        np.testing.assert_array_equal(listed(response), tiny_images[:1])
        found = client.post("/score?background=%23ffffff", files=sent).json()["images"][0]
        expected = session.bits_per_dim(tiny_images[:1])[0]
        assert found["bits_per_dim"] == pytest.approx(float(expected), rel=1e-6)
    opaque = png(np.dstack([tiny_images[0]] * 3 + [np.full_like(level, 255)]))
    response = client.post("/round-trip?output=list", files=[("images", ("a.png", opaque))])
    np.testing.assert_array_equal(listed(response), tiny_images[:1])
    response = client.post("/score?background=whitish", files=files(tiny_images[:1]))
    refused(response, 422, "background", "'whitish'", "background must be a colour: white, #rrggbb")


# --- a conditional export ----------------------------------------------------------------

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype="uint8")
GIVEN = RGB[:, ::-1] // 2


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    flow = Restorer(name="restorer")
    flow.adapt({"image": RGB, "condition": GIVEN})
    perturb(flow, 0.1)
    folder = tmp_path_factory.mktemp("http") / "conditional"
    export.onnx(flow, folder, images=RGB, condition=GIVEN)
    session = Session(folder, "cpu")
    with serving(session) as client:
        yield session, client


def test_restore(conditional):
    session, client = conditional
    assert client.get("/model").json()["condition"] == {"shape": [4, 4, 3], "dtype": "uint8"}
    response = client.post(
        "/restore",
        files=files(GIVEN[:2], "conditions"),
        params={"n": 2, "temperature": 0.9, "seed": 1, "output": "list"},
    )
    repeated = np.repeat(GIVEN[:2], 2, axis=0)
    np.testing.assert_array_equal(
        listed(response), session.sample(4, repeated, temperature=0.9, seed=1)
    )
    sheet = pixels(client.post("/restore", files=files(GIVEN[:2], "conditions")).content)
    assert sheet.shape == (4, 8, 3)


@pytest.mark.parametrize("conditions", [GIVEN[:3], GIVEN[:1]])
def test_conditions_of_images(conditional, conditions):
    session, client = conditional
    sent = files(RGB[:3]) + files(conditions, "conditions")
    found = client.post("/score", files=sent).json()["images"]
    expected = session.log_prob(RGB[:3], conditions)
    np.testing.assert_array_equal(np.float32([one["log_prob"] for one in found]), expected)
    response = client.post("/round-trip", files=sent, params={"output": "list"})
    np.testing.assert_array_equal(listed(response), RGB[:3])


def rgb_png_16(levels):
    """An RGB PNG of 16 bits per channel, as Pillow writes none."""
    height, width = levels.shape
    rows = np.repeat(levels[..., None], 3, axis=-1).astype(">u2").reshape(height, -1)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    chunks = ((b"IHDR", sides + bytes([16, 2, 0, 0, 0])), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def test_errors_of_conditions(conditional, client, tiny_images):
    _, given = conditional
    response = given.post("/score", files=files(RGB[:2]))
    refused(response, 422, "conditions", "no file", "1 to 5 PNG files")
    sent = files(RGB[:3]) + files(GIVEN[:2], "conditions")
    refused(given.post("/score", files=sent), 422, "conditions", "2 files", "one for each of 3")
    response = given.post("/restore", files=files(tiny_images[:1], "conditions"))
    refused(response, 422, "conditions[0]", "8x8 pixels, mode L", "4x4 pixels, RGB, 8 bits")
    deep = np.full((4, 4), 7, "uint16")
    sent = [("conditions", ("a.png", rgb_png_16(deep), "image/png"))]
    refused(given.post("/restore", files=sent), 422, "conditions[0]", "more than 8 bits", "8 bits")
    response = given.post("/restore", files=files(GIVEN[:2], "conditions"), params={"n": 3})
    refused(response, 422, "n", "6 images", "at most 5")
    response = given.post("/sample", json={})
    refused(response, 400, "conditions", "this export is conditional", "POST /restore")
    response = client.post("/restore", files=files(GIVEN[:1], "conditions"))
    refused(response, 400, "conditions", "needs conditions", "POST /sample or /round-trip")
    response = client.post("/score", files=files(GIVEN[:1], "conditions"))
    refused(response, 422, "conditions", "an unknown field", "files in images")


def test_label_maps_are_grey_pictures_of_classes(conditional):
    session, _ = conditional
    other = Session(session.folder, "cpu")
    other.manifest["condition"] = {"shape": [4, 4], "dtype": "uint8", "classes": 3}
    seen = []

    def features(condition, n):
        seen.append(condition)
        return session.features(GIVEN[: len(condition)], n)

    other.features = features
    maps = np.arange(16, dtype="uint8").reshape(1, 4, 4, 1) % 3
    with serving(other) as client:
        response = client.post("/translate", files=files(maps, "conditions"))
        assert response.status_code == 200
        np.testing.assert_array_equal(seen[0], maps[..., 0])
        # Classes are the integers in the file, also where it has fewer bits.
        seen.clear()
        response = client.post(
            "/translate", files=[("conditions", ("a.png", grey_png(maps[0, ..., 0], 2)))]
        )
        assert response.status_code == 200
        np.testing.assert_array_equal(seen[0], maps[..., 0])
        response = client.post("/translate", files=files(maps + 1, "conditions"))
        refused(response, 422, "conditions[0]", "class 3", "classes 0 to 2 as grey levels")


def test_conditions_that_are_no_pictures(conditional):
    session, _ = conditional
    other = Session(session.folder, "cpu")
    other.manifest["condition"]["dtype"] = "float32"
    with serving(other) as client:
        response = client.post("/restore", files=files(GIVEN[:1], "conditions"))
    refused(response, 501, "conditions", "dtype float32", "uint8 images")


def test_images_that_are_no_pictures(session):
    other = Session(session.folder, "cpu")
    other.image_shape = (8, 8, 2)
    with pytest.raises(ValueError, match=r"1 or 3 channels, to be PNG; got \(8, 8, 2\)"):
        make_app(other)


# --- errors ------------------------------------------------------------------------------


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
    refused(client.get("/sample"), 405, "path", "GET /sample", "/docs")


def test_an_error_of_the_server_tells_nothing_of_it(session):
    class Broken(Session):
        def sample(self, *arguments, **options):
            raise RuntimeError("secret")

    with serving(Broken(session.folder, "cpu")) as client:
        response = client.post("/sample", json={})
        refused(response, 500, "request", "an error of the server", "a result")
        # A connection of its own: the server closes the one that failed.
        assert httpx.get(client.base_url.join("/health")).status_code == 200


def test_results_that_are_not_finite_are_refused(session, tiny_images, caplog):
    class Wild(Session):
        def log_prob(self, images, *arguments):
            return np.float32([1.0] * (len(images) - 1) + [np.nan])

        def decode(self, latents, *arguments):
            return np.full((len(latents[0]), 8, 8, 1), np.nan, "float32")

    with serving(Wild(session.folder, "cpu")) as client:
        sent = files(tiny_images[:2])
        finite = "results are finite"
        refused(client.post("/score", files=sent), 422, "request", "images[1] has no", finite)
        refused(client.post("/round-trip", files=sent), 422, "request", "must be finite", finite)
        response = client.post("/sample", json={"temperature": 9})
        refused(response, 422, "request", "sampling at temperature=9.0 gave images", finite)
    assert not caplog.records


# --- limits ------------------------------------------------------------------------------


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
    """A session whose samples take until they are allowed to go on."""

    def sample(self, *arguments, **options):
        self.entered.release()
        assert self.gate.wait(20)
        return super().sample(*arguments, **options)


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


# --- start -------------------------------------------------------------------------------

SCRIPT = """
import json, runpy, sys
program, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = program
try:
    runpy.run_path(program, run_name="__main__")
except KeyboardInterrupt:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_program_serves_without_tensorflow(folder, session, tiny_images, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(ROOT / "examples" / "http_server.py")
    arguments = [program, str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            for _ in range(200):
                try:
                    assert client.get("/health").status_code == 200
                    break
                except httpx.TransportError:
                    assert process.poll() is None, process.communicate()[1]
                    time.sleep(0.1)
            images = tiny_images[:2]
            found = client.post("/score", files=files(images)).json()["images"]
            expected = session.log_prob(images)
            np.testing.assert_allclose([one["log_prob"] for one in found], expected, rtol=1e-5)
            assert client.post("/round-trip", files=files(images)).status_code == 200
            assert client.post("/sample", json={"n": 2}).status_code == 200
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    loaded = set(json.loads(output.splitlines()[-1]))
    assert {"fastapi", "onnxruntime", "uvicorn"} <= loaded, errors
    assert not loaded & {"tensorflow", "keras", "tensorflow_probability", "tf_keras", "onnx"}


def test_it_starts_by_an_environment_variable(folder, monkeypatch):
    monkeypatch.delenv("ATTNFLOW_EXPORT", raising=False)
    with pytest.raises(SystemExit, match="ATTNFLOW_EXPORT must name a folder"):
        http_server.app()
    monkeypatch.setenv("ATTNFLOW_EXPORT", str(folder))
    monkeypatch.setenv("ATTNFLOW_PROVIDER", "cpu")
    config = uvicorn.Config("examples.http_server:app", factory=True)
    config.load()
    assert http_server.app().title == "tiny"
