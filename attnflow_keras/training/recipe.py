"""What a training run is made of."""

import dataclasses
import math
from typing import Any

from attnflow_keras.data.augment import check_augment

OPTIMIZERS = ("adam", "adamax")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of one training run; together with the model's configuration it is the run.

    Args:
        dataset: name of a data set, or a path to the user's images.
        batch_size: images a step.
        steps: optimizer steps of the learning-rate schedule.
        stop_step: stop at this step of the schedule; None for its end.
        learning_rate: greatest learning rate, reached after the warm-up.
        warmup_steps: steps of linear warm-up from 0.
        final_fraction: last learning rate of the cosine as a fraction of the greatest.
        ema: momentum of the averaged weights that are evaluated and kept; 0 for none.
        clipnorm: greatest global norm of a gradient; None for no clipping.
        steps_per_epoch: steps between validations and checkpoints.
        seed: seed of initialization, data order, augmentation and noise.
        jit: compile with XLA.
        resize: resize the user's pictures to the flow's size.
        optimizer: ``"adam"``, or ``"adamax"`` (epsilon 1e-8, as in mAR-SCF).
        schedule: what follows the warm-up: ``"cosine"``, or ``"constant"``.
        augment: augmentation of training images: ``"shift_flip"``, or None.
        patience: stop after this many epochs whose validation bits/dim are not below the best,
            and keep the averaged weights of the best epoch; None to train to the end.
        precision: dtype policy of the flow: ``"float32"``, ``"mixed_float16"`` or
            ``"mixed_bfloat16"``.
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
    optimizer: str = "adam"
    schedule: str = "cosine"
    augment: str | None = None
    patience: int | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "steps_per_epoch"):
            if not _is_count(getattr(self, name)):
                raise ValueError(
                    f"{name} must be an integer of at least 1; got {getattr(self, name)!r}"
                )
        if self.stop_step is not None and not 1 <= self.stop_step <= self.steps:
            raise ValueError(f"stop_step must lie in 1 to {self.steps}; got {self.stop_step!r}")
        if not _is_positive(self.learning_rate):
            raise ValueError(f"learning_rate must be positive; got {self.learning_rate!r}")
        if self.clipnorm is not None and not _is_positive(self.clipnorm):
            raise ValueError(f"clipnorm must be positive, or None; got {self.clipnorm!r}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1); got {self.ema!r}")
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
        if self.patience is not None and not _is_count(self.patience):
            raise ValueError(
                f"patience must be an integer of at least 1 (epochs), or None; got "
                f"{self.patience!r}"
            )

    @property
    def epochs(self) -> int:
        """Number of epochs; training ends with a whole one, so the steps are rounded up."""
        return -(-(self.stop_step or self.steps) // self.steps_per_epoch)

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

        warmup = min(self.warmup_steps, self.steps - 1)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else self.learning_rate,
            max(self.steps - warmup, 1),
            # A cosine from 1 to 1 is the constant.
            alpha=self.final_fraction if self.schedule == "cosine" else 1.0,
            warmup_target=self.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        options = {
            "global_clipnorm": self.clipnorm,
            "use_ema": self.ema > 0,
            "ema_momentum": self.ema if self.ema > 0 else 0.99,
        }
        if self.optimizer == "adamax":
            return keras.optimizers.Adamax(schedule, epsilon=1e-8, **options)
        return keras.optimizers.Adam(schedule, **options)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0
