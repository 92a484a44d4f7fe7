"""L1 training of a flow's encoder before the flow itself is trained."""

import math
from pathlib import Path
from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.ops.replicas import SharedSteps, scaled
from attnflow_keras.training.phase import Phase, phase_recipe, run_phase
from attnflow_keras.training.recipe import Recipe

CHECKPOINT = "encoder.weights.h5"
CURVE = "encoder-curve.csv"
PHASE = Phase(
    subject="the encoder",
    checkpoint=CHECKPOINT,
    curve=CURVE,
    values=("l1", "val_l1", "val_psnr"),
    rate_setting="pretrain_rate",
)


class _Restoration(SharedSteps, keras.Model):
    """The encoder alone, from low- to high-resolution images; metrics in grey levels."""

    def __init__(self, flow: Any) -> None:
        super().__init__(name="restoration", autocast=False)
        self.encoder = flow.encoder
        self._restore = flow.traced_regress
        self._means = {name: keras.metrics.Mean(name=name) for name in ("l1", "psnr")}
        self.built = True

    def call(self, inputs: dict[str, Any]) -> Any:
        return self._restore(inputs["condition"])

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        error = ops.abs(y_pred - ops.cast(x["image"], y_pred.dtype) / 255.0)
        return scaled(ops.mean(error), x.get("share"))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        error = ops.clip(y_pred, 0.0, 1.0) - ops.cast(x["image"], y_pred.dtype) / 255.0
        self._means["l1"].update_state(255.0 * ops.mean(ops.abs(error), axis=(1, 2, 3)))
        mean_square = ops.maximum(ops.mean(ops.square(error), axis=(1, 2, 3)), 1e-12)
        self._means["psnr"].update_state(-10.0 * ops.log(mean_square) / math.log(10.0))
        return {name: mean.result() for name, mean in self._means.items()}

    @property
    def metrics(self) -> list[Any]:
        return [*super().metrics, *self._means.values()]


def pretrain(
    flow: Any,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: Path,
    verbose: Any,
    callbacks: list[keras.callbacks.Callback] | None = None,
) -> None:
    """Train ``flow.encoder`` to restore images, or resume from the checkpoint in the folder.

    ``recipe.pretrain_steps`` steps of Adam (betas 0.9 and 0.99) on the mean absolute error, at a
    rate that falls from ``recipe.pretrain_rate`` to 0 along a cosine. Writes
    ``encoder.weights.h5`` and ``encoder-curve.csv`` after every epoch.

    Args:
        flow: a flow with an ``encoder`` and ``traced_regress``.
        recipe: the settings of the run.
        images: a source of dicts of ``image`` and ``condition``.
        validation: such a dict, or None.
        folder: folder of the run.
        verbose: as in ``fit``.
        callbacks: further callbacks.

    Raises:
        FloatingPointError: the loss became NaN or Inf.
    """
    model = _Restoration(flow)
    rate = keras.optimizers.schedules.CosineDecay(recipe.pretrain_rate, recipe.pretrain_steps)
    model.compile(
        optimizer=keras.optimizers.Adam(rate, beta_2=0.99),
        jit_compile=backend.jit_compile(recipe.jit and backend.devices.can_jit(model)),
    )
    run_phase(
        model,
        PHASE,
        phase_recipe(recipe, recipe.pretrain_steps),
        images,
        # Keras takes a dict for inputs only inside a tuple, as the model has no targets.
        None if validation is None else (validation,),
        folder,
        verbose=verbose,
        callbacks=[keras.callbacks.TerminateOnNaN(), *(callbacks or [])],
    )
