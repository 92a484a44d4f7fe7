"""A server of the HTTP server in a thread, and what its tests share."""

import base64
import io
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from attnflow_keras.serving.app import make_app
from attnflow_keras.serving.connections import settings
from attnflow_keras.serving.limits import Limits
from export.runtime import Session

LIMITS = Limits(images=5, body_bytes=50_000, pixels=10_000, requests=2)


@contextmanager
def in_thread(app, limits, log_level="error"):
    """A server in a thread."""
    config = uvicorn.Config(app, port=0, log_level=log_level, **settings(limits))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


def port_of(server):
    return server.servers[0].sockets[0].getsockname()[1]


@contextmanager
def serving(session, limits=LIMITS):
    """A client of such a server."""
    with (
        in_thread(make_app(session, limits), limits) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port_of(server)}", timeout=20) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def session(small_export):
    return Session(small_export, "cpu")


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
