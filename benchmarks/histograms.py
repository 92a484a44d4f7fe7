"""Histograms of scores by Pillow alone, two kinds of images in each panel."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.plots import COLOURS

PANEL = (250, 150)
GAP = 18
TOP = 34
BINS = 40
# Percentiles of both kinds together, at most so many times as far out as those of the first kind;
# what is farther out counts in the last bin.
SHOWN = (0.5, 99.5)
FARTHEST = 2.0


def histograms(
    rows: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], kinds: tuple[str, str]
) -> np.ndarray:
    """An image ``(h, w, 3)``, uint8: for each row a panel for each of its titles.

    Args:
        rows: title of a row -> title of a panel -> scores of both kinds of images.
        kinds: what the two are called.
    """
    across = max(map(len, rows.values()))
    size = (across * (PANEL[0] + GAP) + GAP, len(rows) * (PANEL[1] + 2 * TOP) + TOP)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image, "RGBA")
    for i, kind in enumerate(kinds):
        x = GAP + 200 * i
        draw.rectangle((x, 12, x + 12, 24), fill=COLOURS[i])
        draw.text((x + 18, 12), kind, fill="black")
    for i, (title, panels) in enumerate(rows.items()):
        y = TOP + i * (PANEL[1] + 2 * TOP)
        draw.text((GAP, y), title, fill="black")
        for j, (name, scores) in enumerate(panels.items()):
            _panel(draw, (GAP + j * (PANEL[0] + GAP), y + TOP), name, scores)
    return np.asarray(image)


def _panel(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    name: str,
    scores: tuple[np.ndarray, np.ndarray],
) -> None:
    left, top = corner
    bottom = top + PANEL[1]
    low, high = np.percentile(np.concatenate(scores), SHOWN)
    own_low, own_high = np.percentile(scores[0], SHOWN)
    spread = own_high - own_low
    low, high = max(low, own_low - FARTHEST * spread), min(high, own_high + FARTHEST * spread)
    edges = np.linspace(low, high, BINS + 1)
    shares = [np.histogram(np.clip(part, low, high), edges)[0] / len(part) for part in scores]
    highest = max(share.max() for share in shares)
    width = PANEL[0] / BINS
    for i, share in enumerate(shares):
        red, green, blue = (int(COLOURS[i][k : k + 2], 16) for k in (1, 3, 5))
        for k, value in enumerate(share):
            x, y = left + k * width, bottom - PANEL[1] * value / highest
            draw.rectangle((x, y, x + width - 1, bottom), fill=(red, green, blue, 150))
    draw.line((left, bottom, left + PANEL[0], bottom), fill="#888888")
    draw.text((left, top - 14), name, fill="black")
    draw.text((left, bottom + 4), f"{low:.2f}", fill="black")
    draw.text((left + PANEL[0] - 34, bottom + 4), f"{high:.2f}", fill="black")
