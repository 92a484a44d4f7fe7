"""What a training run is made of."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of one training run; together with the model's configuration it is the run.

    Args:
        dataset: name of a data set, or a path to the user's images.
        batch_size: images a step.
        steps: optimizer steps of the learning-rate schedule.
        stop_step: stop at this step of the schedule; None for its end.
        learning_rate: greatest learning rate, reached after the warm-up.
        warmup_steps: steps of linear warm-up from 0; a cosine to ``final_fraction`` follows.
        final_fraction: last learning rate as a fraction of the greatest.
        ema: momentum of the averaged weights that are evaluated and kept.
        clipnorm: greatest global norm of a gradient.
        steps_per_epoch: steps between validations and checkpoints.
        seed: seed of initialization, data order and noise.
        jit: compile with XLA.
        resize: resize the user's pictures to the flow's size.
    """

    dataset: str
    batch_size: int = 64
    steps: int = 10_000
    stop_step: int | None = None
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    final_fraction: float = 0.01
    ema: float = 0.999
    clipnorm: float = 1.0
    steps_per_epoch: int = 500
    seed: int = 0
    jit: bool = True
    resize: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "steps_per_epoch"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1; got {value!r}")
        if self.stop_step is not None and not 1 <= self.stop_step <= self.steps:
            raise ValueError(f"stop_step must lie in 1 to {self.steps}; got {self.stop_step!r}")
        for name in ("learning_rate", "clipnorm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)!r}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1); got {self.ema!r}")

    @property
    def epochs(self) -> int:
        """Number of epochs; training ends with a whole one, so the steps are rounded up."""
        return -(-(self.stop_step or self.steps) // self.steps_per_epoch)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able dict."""
        return dataclasses.asdict(self)

    def optimizer(self) -> Any:
        """Adam with warm-up, cosine decay, clipping and averaged weights."""
        import keras

        warmup = min(self.warmup_steps, self.steps - 1)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else self.learning_rate,
            max(self.steps - warmup, 1),
            alpha=self.final_fraction,
            warmup_target=self.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        return keras.optimizers.Adam(
            schedule,
            global_clipnorm=self.clipnorm,
            use_ema=self.ema > 0,
            ema_momentum=self.ema if self.ema > 0 else 0.99,
        )
