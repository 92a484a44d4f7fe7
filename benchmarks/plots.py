"""Line plots by Pillow alone: a logarithmic axis of images, a linear one of scores."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SIZE = (760, 420)
MARGIN = (64, 16, 250, 44)  # left, top, right (the legend), bottom
# Told apart by people of any colour vision (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
# The plot ends so far above the lowest value: early epochs would flatten all that matters.
SHOWN = 0.35


class Line(NamedTuple):
    """One curve."""

    name: str
    x: np.ndarray
    y: np.ndarray


def plot(lines: list[Line], x_label: str, y_label: str) -> np.ndarray:
    """An image of the curves, uint8 ``(h, w, 3)``; high values leave it at the top."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    left, top = MARGIN[:2]
    right, bottom = SIZE[0] - MARGIN[2], SIZE[1] - MARGIN[3]
    x_low = np.log10(min(np.nanmin(line.x) for line in lines))
    x_high = np.log10(max(np.nanmax(line.x) for line in lines))
    y_low = min(np.nanmin(line.y) for line in lines)
    y_high = y_low + SHOWN
    y_low -= 0.05 * SHOWN

    def at(x: float, y: float) -> tuple[float, float]:
        across = (np.log10(x) - x_low) / max(x_high - x_low, 1e-9)
        up = (y - y_low) / (y_high - y_low)
        return left + across * (right - left), bottom - up * (bottom - top)

    draw.rectangle((left, top, right, bottom), outline="#888888")
    for exponent in range(int(np.ceil(x_low)), int(np.floor(x_high)) + 1):
        x, _ = at(10.0**exponent, y_low)
        draw.line((x, top, x, bottom), fill="#dddddd")
        draw.text((x - 16, bottom + 6), f"{10**exponent:,}", fill="black")
    for value in np.arange(np.ceil(y_low * 20) / 20, y_high, 0.05):
        _, y = at(10.0**x_low, value)
        draw.line((left, y, right, y), fill="#dddddd")
        draw.text((left - 34, y - 6), f"{value:.2f}", fill="black")
    draw.text((left + (right - left) / 2 - 30, bottom + 24), x_label, fill="black")
    draw.text((6, 2), y_label, fill="black")
    for i, line in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        inside = np.isfinite(line.y) & (line.y <= y_high)
        points = [at(x, y) for x, y in zip(line.x[inside], line.y[inside], strict=True)]
        if len(points) > 1:
            draw.line(points, fill=colour, width=2)
        for x, y in points[-1:]:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        y = top + 6 + 16 * i
        draw.line((right + 10, y + 6, right + 30, y + 6), fill=colour, width=3)
        draw.text((right + 36, y), line.name, fill="black")
    return np.asarray(image)
