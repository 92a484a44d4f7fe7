"""The arguments of ``compile`` that are not Keras' own."""

import dataclasses
from typing import Any

from attnflow_keras.core.settings import Settings, count, flag, number


@dataclasses.dataclass(frozen=True)
class TrainingSettings(Settings):
    """Settings of ``fit``, see :meth:`FlowTrainer.compile`."""

    zero_latent_weight: float = number(
        0.0,
        "weight in the loss of the mean absolute error of a conditional flow's zero-temperature "
        "sample, in units of 256 grey levels; the likelihood alone hardly constrains that sample.",
        interval="[0, inf)",
    )
    freeze_steps: int = count(0, "first steps of the flow in which the encoder is frozen.", least=0)
    noise_seed: int | None = count(
        None, "seed of dequantization and dropout in fit; None for the flow's seed.", least=0
    )
    remat: bool = flag(
        False,
        "gradient recomputation (keras.remat): the backward pass recomputes each layer instead of "
        "storing its activations. Less memory, more time.",
    )

    def check(self, flow: Any) -> "TrainingSettings":
        """Raise ValueError for a setting that does not apply to the flow."""
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
