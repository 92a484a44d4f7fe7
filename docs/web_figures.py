"""Screenshots of the page in the browser, from the sites that ``make web-demo`` writes.

``python docs/web_figures.py -o docs/images`` needs playwright and a Chromium.
"""

import argparse
import functools
import http.server
import io
import threading
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

WIDTH, HEIGHT = 900, 760
COLOURS = 256


def main() -> None:
    """Write one image for each site."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=Path, default=Path("demo-output/web"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, site, act, dark in (
            ("web-digits", "attnflow-imap-mnist", digits, False),
            ("web-restored", "cattnflow-imap-sr8-bluemarble", restored, False),
            ("web-landcover", "cattnflow-imap-landcover-bluemarble", painted, True),
        ):
            show(browser, given.sites / site, act, dark, given.out / f"{name}.png")
        browser.close()


def show(browser: Browser, site: Path, act: Any, dark: bool, out: Path) -> None:
    """Open a site, use it and write what it then shows."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if dark else "light"
    )
    page.set_default_timeout(300_000)
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    page.wait_for_selector("body[data-ready]")
    act(page)
    page.wait_for_selector("body:not([data-busy])")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    shown = page.locator("#photos")
    if shown.count():  # all below repeats what the other pages have
        box = shown.bounding_box()
        assert box is not None
        picture = picture.crop((0, 0, picture.width, round(box["y"] + box["height"]) + 16))
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
    page.close()
    server.shutdown()
    print(f"{out}: {picture.width}x{picture.height}, {out.stat().st_size / 1000:.0f} kB")


def digits(page: Page) -> None:
    """Samples, a score, and half of a morph."""
    page.get_by_role("button", name="Sample", exact=True).click()
    page.wait_for_selector("#samples canvas")
    page.get_by_label("Example 3", exact=True).click()
    page.wait_for_selector(".figure")
    page.get_by_label("first example 1").click()
    page.get_by_label("second example 2").click()
    page.wait_for_selector("#morph:visible")
    page.get_by_label("From first to second").fill("8")


def restored(page: Page) -> None:
    """Restorations of an example."""
    page.get_by_label("Example 4", exact=True).click()
    page.wait_for_selector("#spread")


def painted(page: Page) -> None:
    """A lake and its shore, in the map of an example."""
    page.get_by_label("Photos follow the map").uncheck()
    page.get_by_label("Example 4", exact=True).click()
    shown = page.locator("#label-map")
    for label, brush, stroke in (
        ("Snow and ice", "16", [(0.0, 0.95), (0.5, 0.9), (1.0, 0.95)]),
        ("Water", "6", [(1.0, 0.1), (0.8, 0.25), (0.75, 0.5), (0.6, 0.6)]),
    ):
        page.get_by_label(label, exact=True).check()
        page.get_by_label("Brush size").fill(brush)
        shown.scroll_into_view_if_needed()
        box = shown.bounding_box()
        assert box is not None
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=8)
        page.mouse.up()
    page.get_by_role("button", name="Draw photos").click()
    page.wait_for_selector("#photos canvas")


if __name__ == "__main__":
    main()
