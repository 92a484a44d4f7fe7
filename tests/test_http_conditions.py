"""The HTTP server serves conditional exports, and what it says of images it can't serve."""

import zlib

import numpy as np
import pytest

import export
from attnflow_keras.serving.app import make_app
from export.runtime import Session
from tests import http_serving
from tests.helpers import grey_png, perturb, png_chunk
from tests.http_serving import files, listed, pixels, refused, serving
from tests.test_flow_errors import ConditionalFlow

session, client = http_serving.session, http_serving.client

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype="uint8")
GIVEN = RGB[:, ::-1] // 2


class Restorer(ConditionalFlow):
    """RGB images given others, which are uint8 images too."""

    condition_shape = (4, 4, 3)
    condition_dtype = "uint8"

    def __init__(self, image_shape=(4, 4, 3), **kwargs):
        super().__init__(image_shape, **kwargs)

    def traced_condition(self, condition):
        from keras import ops

        return ops.cast(condition, "float32") / 255.0


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

    def run(graph, inputs):
        if graph == "condition":
            seen.append(inputs["condition"])
            inputs = {"condition": GIVEN[: len(seen[-1])]}
        return session.run(graph, inputs)

    other.run = run
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


def test_a_class_is_an_option(make_pair):
    pair = make_pair("classes")
    images, _ = pair.some(3)
    with serving(pair.session) as client:
        wanted = {"n": 2, "label": 1, "seed": 5, "output": "list"}
        drawn = listed(client.post("/sample", json=wanted))
        np.testing.assert_array_equal(drawn, pair.session.sample(2, label=1, seed=5))
        found = client.post("/score?label=2", files=files(images)).json()["images"]
        expected = pair.session.bits_per_dim(images, np.array([2]))
        np.testing.assert_allclose([one["bits_per_dim"] for one in found], expected, rtol=1e-6)
        refused(client.post("/sample", json={}), 422, "label", "none", "a class, 0 to 2")
        refused(client.post("/sample", json={"label": 3}), 422, "label", "3", "a class, 0 to 2")
        response = client.post("/score", files=files(images))
        refused(response, 422, "label", "none", "a class, 0 to 2")
        response = client.post("/restore", files=files(images, "conditions"))
        refused(response, 400, "conditions", "needs conditions", "POST /sample")
