"""The web page in Chromium, against the figures of Session."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import export
from attnflow_keras.data import save_image
from attnflow_keras.runtime import Session
from tests.browser import (
    assert_levels,
    chromium,
    finish,
    fits_a_phone,
    opened,
    pixels,
    runtime_path,
    served,
    unnamed,
)
from tests.export_by_hand import made_by_hand
from tests.helpers import perturb
from tests.model_table import make_srflow

PALETTE = np.array([(0, 0, 120), (30, 160, 40), (230, 200, 90)], "uint8")


@pytest.fixture(scope="module")
def runtime():
    return runtime_path()


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def small_site(small_export, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "site"
    export.web(small_export, folder, runtime, title="A <title> & more")
    return folder


def grey(images):
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def choose(page, place, path, shown):
    """Give a picture to one of the page's fields, and wait for what then is there."""
    page.locator("input[type=file]").nth(place).set_input_files(path)
    page.wait_for_selector(shown, timeout=60_000)
    finish(page)


def test_page_samples_scores_and_morphs(
    browser, small_site, small_export, tiny_images, tmp_path, digits
):
    session = Session(small_export, "cpu")
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, image in zip(paths, tiny_images[5:7], strict=True):
        save_image(path, image)
    with served(small_site) as address, opened(browser, address) as page:
        assert page.locator("h1").inner_text() == "A <title> & more"
        page.get_by_role("spinbutton", name="Samples").fill("6")
        page.get_by_label("Temperature").fill("1")
        page.get_by_label("Seed").fill("12")
        page.get_by_role("button", name="Sample", exact=True).click()
        page.wait_for_selector("#samples canvas")
        expected = session.sample(6, temperature=1.0, seed=12)
        assert_levels(pixels(page.locator("#samples canvas")), grey(expected))

        choose(page, 0, paths[0], ".figure")
        bits = float(page.locator(".figure").get_attribute("data-bits"))
        assert bits == pytest.approx(session.bits_per_dim(tiny_images[5:6])[0], abs=1e-4)
        assert "as they are" in page.locator("#score").inner_text()
        save_image(tmp_path / "large.png", digits[0])
        choose(page, 0, tmp_path / "large.png", "text=28x28 pixels, resized to 8x8")
        red = np.zeros((8, 8, 4), "uint8")
        red[..., 0] = red[..., 3] = 255
        Image.fromarray(red[..., :3]).save(tmp_path / "red.png")
        choose(page, 0, tmp_path / "red.png", "text=red.png: 8x8 pixels, colours turned to grey.")
        assert (pixels(page.locator("#score canvas")) == 76).all()
        red[:4] = 0
        Image.fromarray(red).save(tmp_path / "clear.png")
        line = "text=8x8 pixels, colours turned to grey, white behind transparent pixels."
        choose(page, 0, tmp_path / "clear.png", line)
        [shown] = pixels(page.locator("#score canvas"))
        assert (shown[:4] == 255).all()
        assert (shown[4:] == 76).all()

        page.locator("input[type=file]").nth(1).set_input_files(paths[0])
        choose(page, 2, paths[1], "#morph:visible")
        expected = session.interpolate(tiny_images[5], tiny_images[6], 17)
        for step in (0, 5, 16):
            page.get_by_label("From first to second").fill(str(step))
            assert_levels(pixels(page.locator("#morph")), grey(expected[step : step + 1]))
        assert unnamed(page) == []
        assert fits_a_phone(page)

        (tmp_path / "no.png").write_text("no picture")
        page.locator("input[type=file]").nth(0).set_input_files(tmp_path / "no.png")
        page.wait_for_selector("#error:visible")
        expected_line = "no.png is not a picture that this browser can read."
        assert page.locator("#error").inner_text() == expected_line


def test_page_takes_classes(browser, runtime, tmp_path):
    folder = made_by_hand(tmp_path / "export", classes=3)
    export.web(folder, tmp_path / "site", runtime, class_names=["one", "two", "three"])
    with served(tmp_path / "site") as address, opened(browser, address) as page:
        page.get_by_label("Of samples, scores and morphs").select_option("three")
        page.get_by_role("button", name="Sample", exact=True).click()
        page.wait_for_selector("#samples canvas")
        expected = Session(folder, "cpu").sample(16, label=2, temperature=0.8, seed=0)
        assert_levels(pixels(page.locator("#samples canvas")), grey(expected))


@pytest.fixture(scope="module")
def restorer(export_once):
    """A session of the export of a small flow for super-resolution."""
    encoder = {"features": 4, "growth": 2, "blocks": 1, "stacked": ()}
    flow = make_srflow(image_shape=(16, 16, 3), levels=1, encoder_options=encoder)
    rng = np.random.default_rng(0)
    images, condition = (rng.integers(0, 256, (8, side, side, 3), "uint8") for side in (16, 4))
    flow.adapt({"image": images, "condition": condition})
    folder = export_once("web", perturb(flow, 0.02), images=images, condition=condition)
    return Session(folder, "cpu")


def test_page_restores(browser, runtime, restorer, tmp_path):
    session = restorer
    assert export.web(session.folder, tmp_path / "site", runtime)["task"] == "super-resolution"
    large = np.random.default_rng(1).integers(0, 256, (7, 10, 3)).astype("uint8")
    save_image(tmp_path / "small.png", large[:4, :4])
    save_image(tmp_path / "large.png", large)
    with served(tmp_path / "site") as address, opened(browser, address) as page:
        restorations = page.locator(".large canvas")
        choose(page, 0, tmp_path / "small.png", "#spread")
        expected = session.restore(large[:4, :4], n=4, temperature=0.8, seed=0)
        assert_levels(pixels(restorations), expected)
        spread = expected.astype("float64").std(axis=0, ddof=1).mean(axis=-1)
        shown = pixels(page.locator("#spread"))[0, ..., 0]
        assert np.abs(shown - 255 * spread / spread.max()).max() < 3
        page.get_by_label("Restoration 3").click()
        assert_levels(pixels(page.locator(".compare > canvas")), expected[2:3])

        page.get_by_label("Resize larger images to").select_option("16")
        choose(page, 0, tmp_path / "large.png", ".large canvas[width='40']")
        expected = session.restore(large, n=4, temperature=0.8, seed=0)
        assert_levels(pixels(restorations), expected)
        assert unnamed(page) == []
        assert fits_a_phone(page)


def test_page_paints(browser, runtime, tmp_path):
    folder = made_by_hand(tmp_path / "export", shape=(16, 16, 3), palette=PALETTE.tolist())
    session = Session(folder, "cpu")
    assert export.web(folder, tmp_path / "site", runtime)["task"] == "label to photo"
    with served(tmp_path / "site") as address, opened(browser, address) as page:
        shown = page.locator("#label-map")

        def drawn():
            page.get_by_role("button", name="Draw photos").click()
            page.wait_for_selector("#photos canvas")
            finish(page)
            [colours] = pixels(shown)
            photos = session.sample(4, colours[None], temperature=0.7, seed=0)
            assert_levels(pixels(page.locator("#photos canvas")), photos)
            return np.argmax((colours[..., None, :] == PALETTE).all(-1), axis=-1)

        assert (drawn() == 0).all()
        page.get_by_label("Photos follow the map").uncheck()
        page.get_by_label("Class 2").check()
        shown.scroll_into_view_if_needed()
        box = shown.bounding_box()
        page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
        page.mouse.up()
        stroke = drawn()
        assert (stroke[8] == 2).all()
        assert (stroke[:6] == 0).all()
        page.get_by_label("Class 1").check()
        page.get_by_label("Fill areas").check()
        shown.click(position={"x": 5, "y": 5})
        filled = drawn()
        assert (filled[:6] == 1).all()
        assert (filled[11:] == 0).all()
        page.get_by_role("button", name="Undo").click()
        assert (drawn() == stroke).all()
        page.get_by_label("Fill areas").uncheck()
        shown.focus()
        for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "Space"):
            page.keyboard.press(key)
        page.get_by_label("Class 1").focus()
        assert drawn()[3, 8] == 1
        wanted = np.random.default_rng(0).integers(0, len(PALETTE), (16, 16)).astype("uint8")
        other = PALETTE[wanted].astype("uint8")
        other[:8] ^= 1
        for name, array, how in (
            ("colours", PALETTE[wanted].astype("uint8"), "classes by their colours"),
            ("classes", wanted, "grey levels taken as classes"),
            ("other", other, "50 % of it has colours of no class, which became the nearest"),
        ):
            Image.fromarray(array).save(tmp_path / f"{name}.png")
            line = f"text={name}.png: 16x16 pixels, as they are; {how}."
            choose(page, 0, tmp_path / f"{name}.png", line)
            np.testing.assert_array_equal(drawn(), wanted)
        page.get_by_label("Photos follow the map").check()
        page.get_by_role("spinbutton", name="Seed").fill("5")
        page.get_by_role("button", name="Fill all").click()
        page.wait_for_selector("#photos canvas[aria-label='Photo 1 of 4, seed 5']")
        photos = session.sample(4, np.ones((1, 16, 16), "uint8"), temperature=0.7, seed=5)
        assert_levels(pixels(page.locator("#photos canvas")), photos)
        assert unnamed(page) == []
        assert fits_a_phone(page)


@pytest.mark.parametrize(
    ("break_it", "line"),
    [
        ("format", "This export has format 2, and this page reads up to 1"),
        ("simd", "This browser has no WebAssembly SIMD"),
        ("model", "The site is incomplete: model/decode.onnx is missing (404)."),
        ("part", "The site is damaged: model/decode.onnx has 100 bytes, not "),
        ("wasm", "The site is incomplete: runtime/ort-wasm-simd-threaded.wasm is missing (404)."),
    ],
)
def test_page_says_in_one_line_what_is_wrong(browser, small_site, tmp_path, break_it, line):
    folder = tmp_path / "site"
    shutil.copytree(small_site, folder)
    page = browser.new_page()
    if break_it == "format":
        path = folder / "model" / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    elif break_it == "simd":
        page.add_init_script("WebAssembly.validate = () => false;")
    elif break_it == "part":
        os.truncate(folder / "model" / "decode.onnx", 100)
    elif break_it == "wasm":
        (folder / "runtime" / "ort-wasm-simd-threaded.wasm").unlink()
    else:
        (folder / "model" / "decode.onnx").unlink()
    with served(folder) as address:
        page.goto(address)
        if break_it in ("model", "part", "wasm"):
            page.wait_for_selector("body[data-ready]")
            page.get_by_role("button", name="Sample", exact=True).click()
        page.wait_for_selector("#error:visible")
        text = page.locator("#error").inner_text()
    page.close()
    assert line in text
    assert "\n" not in text
