"""The arguments of ``compile`` that are not Keras' own."""

import dataclasses
from typing import Any

from attnflow_keras.core.checks import check_flag, check_integer, check_number


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Settings of ``fit``, see :meth:`FlowTrainer.compile`."""

    zero_latent_weight: float = 0.0
    freeze_steps: int = 0
    noise_seed: int | None = None
    remat: bool = False

    def check(self, flow: Any) -> "TrainingSettings":
        """Raise ValueError for an invalid value, or one that does not apply to the flow."""
        check_number("zero_latent_weight", self.zero_latent_weight)
        check_integer("freeze_steps", self.freeze_steps, 0)
        check_integer("noise_seed", self.noise_seed, 0, none=True)
        check_flag("remat", self.remat)
        if self.zero_latent_weight and not flow.conditional:
            raise ValueError(
                "zero_latent_weight must be 0 for an unconditional flow, which has one image at "
                f"temperature 0; got {self.zero_latent_weight!r}"
            )
        if self.freeze_steps and not hasattr(flow, "traced_regress"):
            raise ValueError(
                "freeze_steps must be 0 for a flow without an encoder that is trained on its own; "
                f"got {self.freeze_steps!r} and a {type(flow).__name__}"
            )
        return self
