"""Settings of a training run."""

import dataclasses
from typing import Any

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.policies import POLICIES
from attnflow_keras.core.renamed import with_current_names
from attnflow_keras.core.settings import Settings, choice, count, flag, number, setting
from attnflow_keras.core.training_settings import TrainingSettings

OPTIMIZERS = ("adam", "adamax")
SCHEDULES = ("cosine", "constant", "halving", "linear")
# Those without a warm-up.
STARTS_FULL = ("halving", "linear")
# Of images, by the functions of attnflow_keras.data.augment.
AUGMENTATIONS = (None, "shift", "shift_flip", "recolor")
PRECISIONS = tuple(policy for policy in POLICIES if policy != "float64")

# The largest seed that Keras takes.
SEED_LIMIT = 2**32 - 1


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
class Recipe(Settings):
    """Settings of a training run, which they determine together with the model's configuration.

    >>> recipe = training.Recipe("mnist", batch_size=32, steps=2000, learning_rate=3e-4)
    >>> type(recipe.make_optimizer()).__name__
    'Adam'

    Args:
        <settings>
    """

    dataset: str = setting(
        _dataset, dataclasses.MISSING, "name of a data set, or a path to the user's images."
    )
    batch_size: int = count(64, "images per step.")
    steps: int = count(
        10_000, "optimizer steps of the learning-rate schedule, which is the length of the run."
    )
    stop_step: int | None = count(
        None, "stop at this step of the schedule; None for its end, steps."
    )
    learning_rate: float = number(2e-3, "peak learning rate, reached after the warm-up.")
    warmup_steps: int = count(200, "steps of linear warm-up from 0.", least=0)
    final_fraction: float = number(
        0.01, "last learning rate of the cosine as a fraction of the peak.", interval="[0, 1]"
    )
    ema: float = number(
        0.999,
        "momentum of the averaged weights that are evaluated and kept, over a window of "
        "1 / (1 - ema) steps; 0 for none.",
        interval="[0, 1)",
    )
    clipnorm: float | None = number(
        1.0, "maximum global norm of the gradient; None for no clipping.", none=True
    )
    steps_per_epoch: int = count(500, "steps between validations and checkpoints.")
    seed: int = count(
        0, "seed of initialization, data order, augmentation and noise.", least=0, most=SEED_LIMIT
    )
    jit: bool = flag(True, "compile with XLA: minutes to start, then faster.")
    remat: bool = TrainingSettings.shared("remat")
    resize: bool = flag(False, "resize the user's images to the flow's size.")
    background: str | None = setting(
        _background,
        None,
        'colour behind their transparent pixels, such as "white" or "#rrggbb"; None refuses '
        "images that have some.",
    )
    optimizer: str = choice(
        "adam", "optimizer: adam, or adamax (epsilon 1e-8, as in mAR-SCF).", allowed=OPTIMIZERS
    )
    schedule: str = choice(
        "cosine",
        "learning rate after the warm-up: cosine or constant; without warm-up: halving, half the "
        "rate at 50, 75, 90 and 95 % of the steps (SRFlow), or linear, constant for half of the "
        "steps, then down to 0 on a line (Full-Glow).",
        allowed=SCHEDULES,
    )
    augment: str | None = choice(
        None,
        "augmentation of training images: shift (up to one pixel), shift_flip (up to 3 pixels, "
        "and mirror images), recolor (a quarter of them in other colours), or None.",
        allowed=AUGMENTATIONS,
    )
    patience: int | None = count(
        None,
        "stop after this many epochs without a better validation score, and keep the averaged "
        "weights of the best epoch; that score is then optimistic, since it selected the weights. "
        "None to train to the end.",
    )
    precision: str = choice(
        "float32",
        "dtype policy of the flow: float32, mixed_float16 or mixed_bfloat16 (half precision "
        "inside the conditioners).",
        allowed=PRECISIONS,
    )
    validation_images: int | None = count(None, "number of images to validate on; None for all.")
    pretrain_steps: int = count(
        0,
        "steps of L1 training of the condition's encoder before the flow's own, for a flow that "
        "has one (SRFlow); 0 for none.",
        least=0,
    )
    pretrain_rate: float = number(2e-4, "their peak learning rate, which falls along a cosine.")
    freeze_steps: int = TrainingSettings.shared("freeze_steps")
    beta_2: float = number(0.999, "decay of the optimizer's second moment.", interval="[0, 1)")
    weight_decay: float = number(
        0.0,
        "decoupled weight decay of matrices (AdamW), per step and unit of learning rate; 0 for "
        "none.",
        interval="[0, inf)",
    )
    zero_latent_steps: int = count(
        0,
        "zero-latent steps, after all others, which also minimize the error of the "
        "zero-temperature sample, for a conditional flow; 0 for none.",
        least=0,
    )
    zero_latent_weight: float = TrainingSettings.shared(
        "zero_latent_weight", 5.0, interval="(0, inf)"
    )
    start_from: str | None = setting(
        _entry,
        None,
        "entry of the zoo whose weights are where the run starts, those of equal names and shapes; "
        "None to start from none.",
    )
    zero_latent_rate: float = number(
        1e-4, "peak learning rate of those steps, which falls along a cosine."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
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


Recipe.describe_in(Recipe)
