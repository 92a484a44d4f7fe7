"""What the two JSON files of an entry hold, and the bounds of what a configuration may ask for.

Keys that are not listed are kept, so that later versions may add some; those listed are what this
package reads. The bounds are wider than any model of the paper needs, and narrow enough that no
configuration takes the machine before :func:`zoo.load` has compared it with its weights.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from attnflow_keras.core.untrusted import is_plain_name

# Greatest integers in a configuration, by the key nearest to them.
BOUNDS = {
    "levels": 10,
    "steps": 64,
    "transition_steps": 16,
    "layers": 64,
    "blocks": 64,
    "dense_blocks": 64,
    "terms": 256,
    "certain_terms": 256,
    "probes": 64,
    "depth": 64,
    "heads": 64,
    "components": 256,
    "pad": 512,
    "replicate": 64,
    "scale": 64,
    "image_shape": 2048,
    "kernel_size": 31,
    "dilation": 64,
    "stacked": 64,
    "palette": 255,
    "noise_levels": 1 << 16,
    "seed": (1 << 32) - 1,
}
OTHERWISE = 4096  # greatest integer under any other key
KEYS = 200  # of one of the two files
LENGTH = 256  # greatest length of a list or text
STEPS = 128  # steps of all levels
BLOCKS = 1024  # blocks in the networks of all steps
ELEMENTS = 1 << 22  # of an image, padded and replicated


def _plain(name: str) -> str:
    if not is_plain_name(name):
        raise ValueError("must be one plain component of a path, without separators or quotes")
    return name


Count = Annotated[int, Field(ge=0, lt=1 << 63, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(strict=True)]
# Default of a key that may be left out, but may not be null.
ABSENT: Any = None
Name = Annotated[str, Field(strict=True), AfterValidator(_plain)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Arguments(_Part):
    """Constructor arguments that are read without building the model."""

    image_shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)]
    preprocess: dict[str, Count] | None = None
    palette: Annotated[
        list[Annotated[list[Count], Field(min_length=3, max_length=3)]] | None,
        Field(max_length=LENGTH),
    ] = None
    scale: Annotated[int, Field(ge=1)] = 1
    conditioner_options: dict[str, Any] | None = None


class Config(_Part):
    """``config.json``."""

    format: Count
    kind: Text = Field(alias="class")
    config: Arguments
    frozen: Annotated[list[list[Count]], Field(max_length=OTHERWISE)] = []


class Metric(_Part):
    """One score over a data set, with its convention."""

    name: Text
    value: Number
    standard_error: Number
    dims: Count
    levels: Count
    dequantization: Text
    draws: Count
    split: Text
    items: Count
    note: Text = ""


class Bits(_Part):
    """Bits per dimension of a result."""

    value: Number
    standard_error: Number
    draws: Count


class Spread(_Part):
    """Diversity of the samples of one condition."""

    mean: Number
    samples: Count
    temperature: Number


class Segmentation(_Part):
    """Scores of a pixel classifier against the label maps."""

    accuracy: Number
    mean_iou: Number


class Score(_Part):
    """Mean of one score over images."""

    mean: Number | None
    standard_error: Number | None = None


class Scores(_Part):
    """Scores of one way to make images."""

    psnr: Score | None = None
    ssim: Score | None = None
    lr_psnr: Score | None = None
    lpips: Score | None = None
    segmentation: Segmentation | None = None


class Row(Scores):
    """Scores at one temperature."""

    temperature: Number


class Result(_Part):
    """What ``attnflow evaluate`` records."""

    baselines: dict[str, Scores]
    temperatures: Annotated[list[Row], Field(min_length=1)]
    average: Scores | None = None
    bits_per_dim: Bits
    diversity: Spread | None
    real: Segmentation | None = None
    items: Count
    split: Text


class Classification(_Part):
    """What ``attnflow evaluate`` records of a class-conditional entry."""

    accuracy: Score
    bits_per_dim: Bits
    items: Count
    split: Text


class Exactness(_Part):
    """Round trips of extreme images, see ``benchmarks.exactness``."""

    grey_levels: dict[str, Number]
    latents: Number | None = None
    batch_size: Number | None = None


class Training(_Part):
    """Origin of the weights."""

    command: Text = ""
    seed: Count | None = None
    steps: Count | None = None
    images: Count | None = None
    seconds: Number | None = None
    machine: Text = ""
    date: Text = ""
    note: Text = ""
    recipe: dict[str, Any] | None = None


class Metadata(_Part):
    """``metadata.json``."""

    format: Count
    name: Name = ABSENT
    description: Text = ""
    task: Text = ""
    dataset: Text = ""
    dataset_license: Text = ""
    license: Text = ""
    derived_from: Text = ""
    paper: Text = ""
    parameters: Count = ABSENT
    bytes: Count = ABSENT
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = ABSENT
    training: Training = ABSENT
    metrics: list[Metric] = ABSENT
    exactness: Exactness = ABSENT
    restoration: Result = ABSENT
    translation: Result = ABSENT
    classification: Classification = ABSENT


def check(content: dict[str, Any], kind: type[BaseModel]) -> None:
    """Raise ValueError, one line that names the key, unless the content fits."""
    if len(content) > KEYS:
        raise ValueError(f"it has {len(content)} keys, more than {KEYS}")
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        came = "" if first["type"] == "missing" else f"; got {_short(first['input'])}"
        raise ValueError(f"{key}: {message}{came}") from None


def check_bounds(arguments: dict[str, Any]) -> None:
    """Raise ValueError if constructor arguments ask for more than the stated bounds."""
    for key, value in _numbers("config", arguments):
        if isinstance(value, list):
            raise ValueError(f"{key} has {len(value)} values, more than {LENGTH}")
        if isinstance(value, str):
            raise ValueError(f"{key} must be a text of at most {LENGTH} characters")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} must be a finite number; got {value}")
        bound = BOUNDS.get(key, OTHERWISE)
        if isinstance(value, int) and abs(value) > bound:
            raise ValueError(f"{key} must be at most {bound}; got {_short(value)}")
    preprocess = arguments.get("preprocess") or {}
    height, width, channels = arguments["image_shape"]
    pad = 2 * preprocess.get("pad", 0)
    elements = (height + pad) * (width + pad) * channels * preprocess.get("replicate", 1)
    if elements > ELEMENTS:
        raise ValueError(
            f"image_shape, padded and replicated, has {elements:,} elements, more than {ELEMENTS:,}"
        )
    steps, blocks = size(arguments)
    for what, found, bound in (("steps", steps, STEPS), ("blocks", blocks, BLOCKS)):
        if found > bound:
            raise ValueError(f"{what} of all levels are {found}, more than {bound}")


def size(arguments: dict[str, Any]) -> tuple[int, int]:
    """Steps of all levels, and blocks in the networks of all these; at least that many weights."""
    # What Residual Flow calls its steps stands where others have none.
    own = "blocks" if "dense_blocks" in arguments else "steps"
    levels, steps = arguments.get("levels", 1), arguments.get(own, 1)
    total = sum(steps) if _are_counts(steps) else 0
    if _are_counts([levels, steps]):
        total = levels * steps
    blocks = (arguments.get("conditioner_options") or {}).get("blocks", 1)
    return total, total * blocks if _are_counts([blocks]) else total


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(v, int) for v in values)


def _numbers(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Numbers, and lists and texts that are too long, each with the key nearest to it."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _numbers(inner, item)
    elif isinstance(value, list):
        if len(value) > LENGTH:
            yield key, value
            return
        for item in value:
            yield from _numbers(key, item)
    elif isinstance(value, str):
        if len(value) > LENGTH:
            yield key, value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
