"""Settings of a training run."""

import dataclasses
import textwrap
from functools import partial
from typing import Any

from attnflow_keras.core.checks import check_choice, check_flag, check_integer, check_number
from attnflow_keras.core.policies import POLICIES
from attnflow_keras.core.renamed import with_current_names

OPTIMIZERS = ("adam", "adamax")
SCHEDULES = ("cosine", "constant", "halving", "linear")
# Those without a warm-up.
STARTS_FULL = ("halving", "linear")
# Of images, by the functions of attnflow_keras.data.augment.
AUGMENTATIONS = (None, "shift", "shift_flip", "recolor")
PRECISIONS = tuple(policy for policy in POLICIES if policy != "float64")

# The largest seed that Keras takes.
SEED_LIMIT = 2**32 - 1


def _field(check: Any, default: Any, text: str) -> Any:
    """A setting: its check, its default, and its help for docstring, command line and cards."""
    return dataclasses.field(default=default, metadata={"check": check, "help": text})


def _count(default: int | None, text: str, least: int = 1, **options: Any) -> Any:
    options |= {"none": True} if default is None else {}
    return _field(partial(check_integer, least=least, **options), default, text)


def _number(default: float | None, text: str, interval: str = "(0, inf)", **options: Any) -> Any:
    return _field(partial(check_number, interval=interval, **options), default, text)


def _flag(default: bool, text: str) -> Any:
    return _field(check_flag, default, text)


def _choice(default: Any, text: str, allowed: tuple[Any, ...]) -> Any:
    return _field(partial(check_choice, allowed=allowed), default, text)


def _dataset(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be the name of a data set, or a path; got {value!r}")
    return value


def _entry(name: str, value: Any) -> Any:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{name} must be the name of an entry, or None; got {value!r}")
    return value


def _background(name: str, value: Any) -> Any:
    from attnflow_keras.data.pictures import as_colour

    if value is not None:
        as_colour(value)
    return value


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of a training run, which they determine together with the model's configuration.

    >>> recipe = training.Recipe("mnist", batch_size=32, steps=2000, learning_rate=3e-4)
    >>> type(recipe.make_optimizer()).__name__
    'Adam'

    Args:
    """

    dataset: str = dataclasses.field(
        metadata={
            "check": _dataset,
            "help": "name of a data set, or a path to the user's images.",
        }
    )
    batch_size: int = _count(64, "images per step.")
    steps: int = _count(
        10_000, "optimizer steps of the learning-rate schedule, which is the length of the run."
    )
    stop_step: int | None = _count(
        None, "stop at this step of the schedule; None for its end, steps."
    )
    learning_rate: float = _number(2e-3, "peak learning rate, reached after the warm-up.")
    warmup_steps: int = _count(200, "steps of linear warm-up from 0.", 0)
    final_fraction: float = _number(
        0.01, "last learning rate of the cosine as a fraction of the peak.", "[0, 1]"
    )
    ema: float = _number(
        0.999,
        "momentum of the averaged weights that are evaluated and kept, over a window of "
        "1 / (1 - ema) steps; 0 for none.",
        "[0, 1)",
    )
    clipnorm: float | None = _number(
        1.0, "maximum global norm of the gradient; None for no clipping.", none=True
    )
    steps_per_epoch: int = _count(500, "steps between validations and checkpoints.")
    seed: int = _count(
        0, "seed of initialization, data order, augmentation and noise.", 0, most=SEED_LIMIT
    )
    jit: bool = _flag(True, "compile with XLA: minutes to start, then faster.")
    remat: bool = _flag(
        False, "compute each layer again in the backward pass: less memory, more time."
    )
    resize: bool = _flag(False, "resize the user's images to the flow's size.")
    background: str | None = _field(
        _background,
        None,
        'colour behind their transparent pixels, such as "white" or "#rrggbb"; None refuses '
        "images that have some.",
    )
    optimizer: str = _choice(
        "adam", "optimizer: adam, or adamax (epsilon 1e-8, as in mAR-SCF).", OPTIMIZERS
    )
    schedule: str = _choice(
        "cosine",
        "learning rate after the warm-up: cosine or constant; without warm-up: halving, half the "
        "rate at 50, 75, 90 and 95 % of the steps (SRFlow), or linear, constant for half of the "
        "steps, then down to 0 on a line (Full-Glow).",
        SCHEDULES,
    )
    augment: str | None = _choice(
        None,
        "augmentation of training images: shift (up to one pixel), shift_flip (up to 3 pixels, "
        "and mirror images), recolor (a quarter of them in other colours), or None.",
        AUGMENTATIONS,
    )
    patience: int | None = _count(
        None,
        "stop after this many epochs without a better validation score, and keep the averaged "
        "weights of the best epoch; that score is then optimistic, since it selected the weights. "
        "None to train to the end.",
    )
    precision: str = _choice(
        "float32",
        "dtype policy of the flow: float32, mixed_float16 or mixed_bfloat16 (half precision "
        "inside the conditioners).",
        PRECISIONS,
    )
    validation_images: int | None = _count(None, "number of images to validate on; None for all.")
    pretrain_steps: int = _count(
        0,
        "steps of L1 training of the condition's encoder before the flow's own, for a flow that "
        "has one (SRFlow); 0 for none.",
        0,
    )
    pretrain_rate: float = _number(2e-4, "their peak learning rate, which falls along a cosine.")
    freeze_steps: int = _count(0, "first steps of the flow in which the encoder is frozen.", 0)
    beta_2: float = _number(0.999, "decay of the optimizer's second moment.", "[0, 1)")
    weight_decay: float = _number(
        0.0,
        "decoupled weight decay of matrices (AdamW), per step and unit of learning rate; 0 for "
        "none.",
        "[0, inf)",
    )
    zero_latent_steps: int = _count(
        0,
        "zero-latent steps, after all others, which also minimize the error of the "
        "zero-temperature sample, for a conditional flow; 0 for none.",
        0,
    )
    zero_latent_weight: float = _number(5.0, "weight of that error, see Flow.compile.")
    start_from: str | None = _field(
        _entry,
        None,
        "entry of the zoo whose weights are where the run starts, those of equal names and shapes; "
        "None to start from none.",
    )
    zero_latent_rate: float = _number(
        1e-4, "peak learning rate of those steps, which falls along a cosine."
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = field.metadata["check"](field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        check_integer("stop_step", self.stop_step, 1, self.steps, none=True)
        if self.schedule in STARTS_FULL and self.warmup_steps:
            raise ValueError(
                f"warmup_steps must be 0 with schedule={self.schedule!r}, which has no warm-up; "
                f"got {self.warmup_steps!r}"
            )

    @property
    def last_step(self) -> int:
        """The step that training ends at."""
        return self.stop_step or self.steps

    @property
    def epochs(self) -> int:
        """Number of epochs; the last one is shorter where the steps don't fill it."""
        return -(-self.last_step // self.steps_per_epoch)

    def step_after(self, epochs: int) -> int:
        """Number of steps after so many epochs."""
        return min(epochs * self.steps_per_epoch, self.last_step)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "Recipe":
        """The recipe of :meth:`to_dict`; what an older recipe lacks takes its default.

        Raises:
            ValueError: a setting that this version does not know, or a bad value.
        """
        settings = with_current_names(settings)
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown or "dataset" not in settings:
            wrong = f"unknown {', '.join(unknown)}" if unknown else "no dataset"
            raise ValueError(f"recipe must have settings among {', '.join(known)}; got {wrong}")
        return cls(**settings)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The settings that have a default, with it."""
        return {
            field.name: field.default
            for field in dataclasses.fields(cls)
            if field.default is not dataclasses.MISSING
        }

    def make_optimizer(self) -> Any:
        """A new optimizer with warm-up, schedule, clipping and averaged weights."""
        from attnflow_keras.training.optimizer import make_optimizer

        return make_optimizer(self)


if Recipe.__doc__:  # none under python -OO
    Recipe.__doc__ += "\n    ".join(
        textwrap.fill(f"    {field.name}: {field.metadata['help']}", 92, subsequent_indent=" " * 12)
        for field in dataclasses.fields(Recipe)
    )
