"""The HTTP server over a real socket, compared with the session it serves."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from attnflow_keras.serving import server
from tests import http_serving
from tests.http_serving import LIMITS, files, listed, pixels, png, refused

ROOT = Path(__file__).parent.parent
session, client = http_serving.session, http_serving.client


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
    assert response.json()["error"]["expected"].startswith("background must be")


SCRIPT = """
import json, runpy, sys
try:
    runpy.run_module("attnflow_keras.serving", run_name="__main__", alter_sys=True)
except KeyboardInterrupt:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_program_serves_without_tensorflow(small_export, session, tiny_images, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [str(small_export), "--host", "127.0.0.1", "--port", str(port)]
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


def test_it_starts_by_an_environment_variable(small_export, monkeypatch):
    monkeypatch.delenv("ATTNFLOW_EXPORT", raising=False)
    with pytest.raises(SystemExit, match="ATTNFLOW_EXPORT must name a folder"):
        server.app()
    monkeypatch.setenv("ATTNFLOW_EXPORT", str(small_export))
    monkeypatch.setenv("ATTNFLOW_PROVIDER", "cpu")
    config = uvicorn.Config("attnflow_keras.serving.server:app", factory=True)
    config.load()
    assert server.app().title == "tiny"
