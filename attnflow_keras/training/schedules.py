"""Learning rates that Keras does not have."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Constant for half of the steps, then linear to 0 (Full-Glow's code).

    Args:
        rate: the rate of the first half.
        steps: number of steps.
    """

    def __init__(self, rate: float, steps: int) -> None:
        super().__init__()
        self.rate = rate
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        left = (self.steps - ops.cast(step, "float32")) / max(self.steps - self.steps // 2, 1)
        return self.rate * ops.clip(left, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "steps": self.steps}
