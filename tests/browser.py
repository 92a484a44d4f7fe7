"""What the tests of web pages share: node, Chromium, a server for files."""

import contextlib
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from export import web_runtime

CHROMIUM = "/usr/bin/chromium"
NO_GPU = ("--disable-gpu",)
# A GPU that the CPU plays, with its kernels but not its speed.
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan,WebGPU",
    "--use-vulkan=swiftshader",
    "--disable-vulkan-surface",
    "--ignore-gpu-blocklist",
)
OPTIONS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


def runtime_path() -> Path:
    """The tarball of onnxruntime-web, without network: a test without it is skipped."""
    path = Path(os.environ.get("ATTNFLOW_ORT_WEB") or web_runtime.cached())
    if not path.exists():
        pytest.skip("no tarball of onnxruntime-web: python -m export.web_runtime fetches it")
    return path


def need_node() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    return node


@contextlib.contextmanager
def served(folder):
    """The address of a folder on the loopback interface."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def chromium(gpu=NO_GPU):
    """A browser, or a skipped test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, *gpu])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser, address, **options):
    """A page that has loaded its model; what it wrote to the console must be nothing."""
    page = browser.new_page(**options)
    said = []
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    try:
        yield page
        assert said == []
    finally:
        page.close()


def finish(page):
    """Wait until nothing is computed."""
    page.wait_for_selector("body:not([data-busy])", timeout=60_000)
    assert page.locator("#error").inner_text() == ""


def fits_a_phone(page):
    """Whether nothing of the page is wider than a narrow screen."""
    page.set_viewport_size({"width": 360, "height": 740})
    return page.evaluate("document.documentElement.scrollWidth") <= 360


UNNAMED = """() => [...document.querySelectorAll("input, select, button, canvas, section")]
    .filter((each) => !each.labels?.length && !each.textContent.trim() && !each.ariaHidden
        && !each.ariaLabel && !each.querySelector("[aria-label]"))
    .map((each) => each.outerHTML)"""


def unnamed(page):
    """Controls and pictures that a screen reader has no name for."""
    return page.evaluate(UNNAMED)


PIXELS = """(canvases) => canvases.map((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return { size: [canvas.height, canvas.width], data: Array.from(data) };
})"""


def pixels(locator):
    """RGB of the canvases that a selector finds, uint8 ``(n, h, w, 3)``."""
    found = locator.evaluate_all(PIXELS)
    return np.array(
        [np.array(each["data"], "uint8").reshape(*each["size"], 4)[..., :3] for each in found]
    )


def assert_levels(got, expected):
    """Grey levels are equal but for one."""
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1
