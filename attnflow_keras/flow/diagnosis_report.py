"""What a diagnosis found: figures of each layer and of the whole flow, as a table."""

import dataclasses
import math
from typing import Any

from attnflow_keras.core.wording import counted

Range = tuple[float, float]

# Beyond these a row carries a warning.
CONDITION_LIMIT = 1e4
ROUND_TRIP_LIMIT = 1e-3
# A soft bound is approached, never reached; here its slope is down to 2 %.
BOUND_FRACTION = 0.99
# Images lie in [-0.5, 0.5]; a trained flow's samples stay within a few times that.
SAMPLE_LIMIT = 4.0
# Beyond this they are no images at all.
SAMPLE_BOUND = 1e4

COLUMNS = (
    "layer",
    "class",
    "log-det",
    "output",
    "round trip",
    "condition",
    "log-scale",
    "components",
    "finite",
)
LEFT = 2  # text columns; the others are figures


@dataclasses.dataclass(frozen=True)
class LayerDiagnosis:
    """What one layer did to the images.

    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)
    >>> row = flow.diagnose(np.zeros((2, 8, 8, 1), "uint8")).layers[1]
    >>> row.path, row.kind
    ('level_1.step_1.actnorm', 'ActNorm')

    Args:
        path: where the layer stands, such as ``level_1.step_2.conv1x1``.
        kind: the layer's class.
        log_det: its share of log|det|, in bits per dimension of the image, mean over images.
        output_range: minimum and maximum value that it gave in encode.
        round_trip_error: greatest |inverse(forward(x)) - x|, for the x that came to it.
        condition_number: maximum condition number of its matrices, None without any.
        log_scale: range of the logs of its scale factors, None without any.
        component_log_scale: range of the log-scales of its mixture's components, None
            without any.
        log_scale_bound: bound of the absolute value of ``log_scale``, None without one.
        negative_determinants: share of its matrices whose determinant is negative, where their sign
            is ignored, the maximum over a batch; None for other layers.
        caveat: where the layer, as configured, is no flow or loses precision; None for others.
        encode_finite: whether its outputs and log-determinants were finite in encode.
        decode_finite: the same of its inverse, on encoded images and on samples.
        damaged_weights: names of its weights that hold NaN or Inf.
    """

    path: str
    kind: str
    log_det: float
    output_range: Range
    round_trip_error: float
    condition_number: float | None
    log_scale: Range | None
    component_log_scale: Range | None
    log_scale_bound: float | None
    negative_determinants: float | None
    caveat: str | None
    encode_finite: bool
    decode_finite: bool
    damaged_weights: tuple[str, ...]

    @property
    def finite(self) -> bool:
        """Whether everything that came out was finite, and every weight is."""
        return self.encode_finite and self.decode_finite and not self.damaged_weights

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the layer, as text."""
        found = []
        for name, finite in (("encode", self.encode_finite), ("decode", self.decode_finite)):
            if not finite:
                found.append(f"NaN or Inf in {name}")
        if self.damaged_weights:
            found.append(f"NaN or Inf in {', '.join(self.damaged_weights)}")
        if self.condition_number is not None and self.condition_number > CONDITION_LIMIT:
            found.append(f"condition number {self.condition_number:.2g}")
        if self.negative_determinants:
            found.append(f"{self.negative_determinants:.0%} of its determinants are negative")
        if self.round_trip_error > ROUND_TRIP_LIMIT:
            found.append(f"round-trip error {self.round_trip_error:.2g}")
        if self.log_scale is not None and self.log_scale_bound is not None:
            largest = max(abs(end) for end in self.log_scale)
            if largest > BOUND_FRACTION * self.log_scale_bound:
                found.append(f"log-scale at its bound, {largest:.4g} of {self.log_scale_bound:g}")
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class FlowDiagnosis:
    """What ``flow.diagnose`` found; ``print`` shows it as a table.

    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)
    >>> report = flow.diagnose(np.zeros((2, 8, 8, 1), "uint8"))
    >>> report.ok, len(report.layers)
    (True, 5)

    Args:
        name: name of the flow.
        dtype: dtype that its layers work in.
        images: number of images.
        layers: one row per layer, in the order of encode.
        bits_per_dim: mean over the images.
        round_trip_error: greatest |decode(encode(x)) - x|.
        wrong_levels: number of image elements that decode(encode(x)) changes by half a
            grey level or more away from where they were; 0 if no problems are found.
        inexact_images: indices of the images with such elements: they lie outside the flow's
            domain, and their latents and scores are unreliable.
        sample_range: minimum and maximum value decoded from latents drawn from N(0, I).
        samples_finite: whether all of those are finite.
        non_finite_encode: path of the first layer, in the order of encode, that gave NaN or
            Inf, or None.
        non_finite_decode: the same for decode, in its order, which is the reverse.
        damaged_weights: names of all of the flow's weights that hold NaN or Inf.
    """

    name: str
    dtype: str
    images: int
    layers: tuple[LayerDiagnosis, ...]
    bits_per_dim: float
    round_trip_error: float
    wrong_levels: int
    inexact_images: tuple[int, ...]
    sample_range: Range
    samples_finite: bool
    non_finite_encode: str | None
    non_finite_decode: str | None
    damaged_weights: tuple[str, ...]

    @property
    def first_non_finite(self) -> str | None:
        """Path of the first layer that gave NaN or Inf, in encode or else in decode."""
        return self.non_finite_encode or self.non_finite_decode

    @property
    def problem(self) -> str | None:
        """One line that describes the first problem found; None without any."""
        directions = [
            f"{direction}: {path}"
            for direction, path in (
                ("encode", self.non_finite_encode),
                ("decode", self.non_finite_decode),
            )
            if path
        ]
        if directions:
            line = f"first layer with NaN or Inf in {', in '.join(directions)}"
            if self.damaged_weights:
                line += f"; weights with NaN or Inf: {', '.join(self.damaged_weights)}"
            return line
        if self.damaged_weights:
            return f"weights with NaN or Inf: {', '.join(self.damaged_weights)}"
        for row in self.layers:
            if not row.finite:
                return f"NaN or Inf in {row.path}"
        if not self.samples_finite or not math.isfinite(self.round_trip_error):
            return "decode gives NaN or Inf"
        if self.wrong_levels:
            worst = max(self.layers, key=lambda row: row.round_trip_error)
            return (
                f"decode(encode(x)) changes {self.wrong_levels:,} grey levels in "
                f"{len(self.inexact_images)} of {counted(self.images, 'image')}, image "
                f"{self.inexact_images[0]} first, by up to "
                f"{256 * self.round_trip_error:.2g}; the layer with the largest error of its own "
                f"is {worst.path} ({worst.round_trip_error:.2g})"
            )
        if max(map(abs, self.sample_range)) > SAMPLE_BOUND:
            return f"decoded samples reach {_range(self.sample_range)}: the inverse is unstable"
        for row in self.layers:
            if row.negative_determinants and row.negative_determinants < 1:
                return (
                    f"{row.path} is not invertible: its determinant is negative for "
                    f"{row.negative_determinants:.0%} of these images and positive for the others"
                )
        return None

    @property
    def caveats(self) -> tuple[str, ...]:
        """What measurements on some images can't show, as text."""
        kinds: dict[tuple[str, str], list[str]] = {}
        for row in self.layers:
            if row.caveat:
                kinds.setdefault((row.kind, row.caveat), []).append(row.path)
        found = [
            f"{len(paths)} {kind} layers, {paths[0]} first: {caveat}"
            for (kind, caveat), paths in kinds.items()
        ]
        if max(map(abs, self.sample_range)) > SAMPLE_LIMIT:
            found.append(
                f"decoded samples reach {_range(self.sample_range)}, far outside [-0.5, 0.5]"
            )
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether all values are finite and the round trip restores every grey level."""
        return self.problem is None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able dict; a number that is not finite becomes None."""
        content = {
            **dataclasses.asdict(self),
            "first_non_finite": self.first_non_finite,
            "problem": self.problem,
            "caveats": self.caveats,
        }
        for row, entry in zip(self.layers, content["layers"], strict=True):
            entry["warnings"] = row.warnings
        return _plain(content)

    def __str__(self) -> str:
        rows = [_cells(row) for row in self.layers]
        widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
        lines = [
            f"{self.name}: {counted(len(self.layers), 'layer')}, "
            f"{counted(self.images, 'image')}, {self.dtype}; "
            "log-det in bits per dimension of the image",
            "",
            _line(COLUMNS, widths),
            _line(["-" * width for width in widths], widths),
            *(_line(cells, widths) for cells in rows),
            "",
        ]
        lines += [f"warning: {row.path}: {text}" for row in self.layers for text in row.warnings]
        lines += [
            f"bits/dim {self.bits_per_dim:.4f}; decode(encode(x)) is off by at most "
            f"{self.round_trip_error:.1e} (a grey level is {1 / 256:.1e}); "
            f"{self.wrong_levels:,} wrong grey levels",
            f"decoded samples lie in {_range(self.sample_range)}",
            *(f"caveat: {text}" for text in self.caveats),
            self._verdict(),
        ]
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.problem:
            return f"problem: {self.problem}"
        return "no problems found on these images; see the caveats" if self.caveats else "sound"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cells(row: LayerDiagnosis) -> list[str]:
    number = row.condition_number
    return [
        row.path,
        row.kind,
        f"{row.log_det:.4f}",
        _range(row.output_range),
        f"{row.round_trip_error:.1e}",
        "" if number is None else f"{number:.3g}",
        _range(row.log_scale),
        _range(row.component_log_scale),
        "yes" if row.finite else "NO",
    ]


def _range(ends: Range | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _line(cells: Any, widths: list[int]) -> str:
    padded = [
        cell.ljust(width) if i < LEFT else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()
