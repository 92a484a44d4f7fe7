"""What a training run is made of."""

import dataclasses
import math
from typing import Any

from attnflow_keras.data.augment import check_augment
from attnflow_keras.data.pictures import as_colour

OPTIMIZERS = ("adam", "adamax")
SCHEDULES = ("cosine", "constant", "halving", "linear")
# Those without a warm-up.
STARTS_FULL = ("halving", "linear")
# Where the rate is halved, as fractions of the steps (SRFlow).
HALVINGS = (0.5, 0.75, 0.9, 0.95)
# Parts of the names of weights that are no matrices.
NOT_DECAYED = ["bias", "gamma", "beta", "positions", "embeddings", "scale", "shift", "mean"]
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")

# The largest seed that Keras takes.
SEED_LIMIT = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of one training run; together with the model's configuration it is the run.

    >>> recipe = training.Recipe("mnist", batch_size=32, steps=2000, learning_rate=3e-4)
    >>> type(recipe.make_optimizer()).__name__
    'Adam'

    Args:
        dataset: name of a data set, or a path to the user's images.
        batch_size: images per step.
        steps: optimizer steps of the learning-rate schedule.
        stop_step: stop at this step of the schedule; None for its end, ``steps``.
        learning_rate: greatest learning rate, reached after the warm-up.
        warmup_steps: steps of linear warm-up from 0.
        final_fraction: last learning rate of the cosine as a fraction of the greatest.
        ema: momentum of the averaged weights that are evaluated and kept; 0 for none.
        clipnorm: greatest global norm of a gradient; None for no clipping.
        steps_per_epoch: steps between validations and checkpoints.
        seed: seed of initialization, data order, augmentation and noise.
        jit: compile with XLA.
        resize: resize the user's images to the flow's size.
        background: colour behind their transparent pixels, such as ``"white"`` or ``"#rrggbb"``;
            None refuses images that have some.
        optimizer: ``"adam"``, or ``"adamax"`` (epsilon 1e-8, as in mAR-SCF).
        schedule: what follows the warm-up: ``"cosine"`` or ``"constant"``. Without warm-up:
            ``"halving"``, half the rate at 50, 75, 90 and 95 % of the steps (SRFlow), or
            ``"linear"``, constant for half of the steps, then down to 0 on a line (Full-Glow).
        augment: augmentation of training images: ``"shift_flip"``, ``"recolor"``, or None.
        patience: stop after this many epochs whose validation bits/dim are not below the best,
            and keep the averaged weights of the best epoch; None to train to the end.
        precision: dtype policy of the flow: ``"float32"``, ``"mixed_float16"`` or
            ``"mixed_bfloat16"``.
        validation_images: validate on the first so many images only; None for all.
        pretrain_steps: steps of L1 training of the condition's encoder before the flow's own,
            for a flow that has one (SRFlow); 0 for none.
        pretrain_rate: greatest learning rate of those, which falls along a cosine.
        freeze_steps: first steps of the flow in which the encoder is frozen.
        beta_2: decay of the optimizer's second moment.
        weight_decay: decoupled weight decay of matrices (AdamW), per step and unit of learning
            rate; 0 for none.
        mode_steps: zero-latent steps, after all others, which also minimize the error of the
            zero-temperature sample, for a conditional flow; 0 for none.
        mode_weight: its weight, see ``Flow.mode_weight``.
        mode_rate: greatest learning rate of those steps, which falls along a cosine.
    """

    dataset: str
    batch_size: int = 64
    steps: int = 10_000
    stop_step: int | None = None
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    final_fraction: float = 0.01
    ema: float = 0.999
    clipnorm: float | None = 1.0
    steps_per_epoch: int = 500
    seed: int = 0
    jit: bool = True
    resize: bool = False
    background: str | None = None
    optimizer: str = "adam"
    schedule: str = "cosine"
    augment: str | None = None
    patience: int | None = None
    precision: str = "float32"
    validation_images: int | None = None
    pretrain_steps: int = 0
    pretrain_rate: float = 2e-4
    freeze_steps: int = 0
    beta_2: float = 0.999
    weight_decay: float = 0.0
    mode_steps: int = 0
    mode_weight: float = 5.0
    mode_rate: float = 1e-4

    def __post_init__(self) -> None:
        if not isinstance(self.dataset, str) or not self.dataset:
            raise ValueError(
                f"dataset must be the name of a data set, or a path, as text; got {self.dataset!r}"
            )
        for name in ("batch_size", "steps", "steps_per_epoch"):
            if not _is_count(getattr(self, name)):
                raise ValueError(
                    f"{name} must be an integer of at least 1; got {getattr(self, name)!r}"
                )
        if self.stop_step is not None and not (
            _is_count(self.stop_step) and self.stop_step <= self.steps
        ):
            raise ValueError(
                f"stop_step must be an integer from 1 to steps ({self.steps}), or None; got "
                f"{self.stop_step!r}"
            )
        for name in ("warmup_steps", "pretrain_steps", "freeze_steps", "mode_steps"):
            if not _is_count(getattr(self, name), 0):
                raise ValueError(
                    f"{name} must be an integer of at least 0; got {getattr(self, name)!r}"
                )
        if not _is_count(self.seed, 0) or self.seed > SEED_LIMIT:
            raise ValueError(
                f"seed must be an integer from 0 to {SEED_LIMIT} (2^32 - 1); got {self.seed!r}"
            )
        for name in ("learning_rate", "pretrain_rate", "mode_rate", "mode_weight"):
            if not _is_number(getattr(self, name)) or getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)!r}")
        if self.clipnorm is not None and (not _is_number(self.clipnorm) or self.clipnorm <= 0):
            raise ValueError(f"clipnorm must be positive, or None; got {self.clipnorm!r}")
        if not _is_number(self.ema) or not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1), with 0 for no average; got {self.ema!r}")
        if not _is_number(self.beta_2) or not 0 <= self.beta_2 < 1:
            raise ValueError(f"beta_2 must lie in [0, 1); got {self.beta_2!r}")
        if not _is_number(self.weight_decay) or self.weight_decay < 0:
            raise ValueError(f"weight_decay must be at least 0; got {self.weight_decay!r}")
        if self.schedule in STARTS_FULL and self.warmup_steps:
            raise ValueError(
                f"warmup_steps must be 0 with schedule={self.schedule!r}, which has no warm-up; "
                f"got {self.warmup_steps!r}"
            )
        if not _is_number(self.final_fraction) or not 0 <= self.final_fraction <= 1:
            raise ValueError(f"final_fraction must lie in [0, 1]; got {self.final_fraction!r}")
        for name in ("jit", "resize"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False; got {getattr(self, name)!r}")
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(repr, known))}; got "
                    f"{getattr(self, name)!r}"
                )
        check_augment(self.augment)
        if self.background is not None:
            as_colour(self.background)
        for name, unit in (("patience", "epochs"), ("validation_images", "images")):
            value = getattr(self, name)
            if value is not None and not _is_count(value):
                raise ValueError(
                    f"{name} must be an integer of at least 1 ({unit}), or None; got {value!r}"
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
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown or "dataset" not in settings:
            wrong = f"unknown {', '.join(unknown)}" if unknown else "no dataset"
            raise ValueError(f"recipe must have settings out of {', '.join(known)}; got {wrong}")
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
        import keras

        from attnflow_keras.training.schedules import ConstantThenLinear

        schedules = keras.optimizers.schedules
        if self.schedule == "linear":
            schedule = ConstantThenLinear(self.learning_rate, self.steps)
        elif self.schedule == "halving":
            schedule = schedules.PiecewiseConstantDecay(
                [round(part * self.steps) for part in HALVINGS],
                [self.learning_rate * 0.5**i for i in range(len(HALVINGS) + 1)],
            )
        else:
            warmup = min(self.warmup_steps, self.steps - 1)
            schedule = schedules.CosineDecay(
                0.0 if warmup else self.learning_rate,
                max(self.steps - warmup, 1),
                # A cosine from 1 to 1 is the constant.
                alpha=self.final_fraction if self.schedule == "cosine" else 1.0,
                warmup_target=self.learning_rate if warmup else None,
                warmup_steps=warmup,
            )
        options = {
            "beta_2": self.beta_2,
            "global_clipnorm": self.clipnorm,
            "use_ema": self.ema > 0,
            "ema_momentum": self.ema if self.ema > 0 else 0.99,
        }
        if self.weight_decay:
            options["weight_decay"] = self.weight_decay
        if self.optimizer == "adamax":
            optimizer = keras.optimizers.Adamax(schedule, epsilon=1e-8, **options)
        else:
            optimizer = keras.optimizers.Adam(schedule, **options)
        if self.weight_decay:
            optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
        return optimizer


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
