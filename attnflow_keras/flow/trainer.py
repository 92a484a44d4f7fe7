"""``compile``, ``fit``, ``evaluate`` and ``predict`` of a flow."""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.training_settings import TrainingSettings
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow import loaders
from attnflow_keras.flow.batches import CheckedBatches, is_end
from attnflow_keras.flow.peek import first_batch
from attnflow_keras.flow.training_data import BATCH_SIZE, TrainingData
from attnflow_keras.ops import replicas
from attnflow_keras.ops.numerics import LN2

Tensor = Any

ADAPT_IMAGES = 256


class FlowTrainer(TrainingData, replicas.SharedSteps, keras.Model):
    """The training half of :class:`attnflow_keras.models.Flow`, with its loss and metrics."""

    # What ``Flow`` provides.
    conditional: bool
    seed: int
    adapted: Any
    num_dims: int
    float_dims: int
    adapt: Any
    _bits_per_dim: keras.metrics.Mean
    _zero_latent_error: keras.metrics.Mean
    traced_zero_latent_error: Any
    # What Keras provides.
    train_function: Any
    test_function: Any

    _settings: TrainingSettings
    _traced_step: Any = None
    #: The data being read, by "train" and "test".
    _sources: Mapping[str, CheckedBatches] = types.MappingProxyType({})

    @property
    def is_adapted(self) -> bool:
        """Whether data-dependent initialization has happened, here or before saving."""
        return bool(ops.convert_to_numpy(self.adapted))

    @property
    def training_settings(self) -> TrainingSettings:
        """The arguments of :meth:`compile` that are not Keras' own."""
        return self._settings

    @property
    def noise_seed(self) -> int:
        """Seed of the noise inside ``fit``, see :meth:`compile`."""
        seed = self._settings.noise_seed
        return self.seed if seed is None else seed

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        *,
        zero_latent_weight: float = TrainingSettings.zero_latent_weight,
        freeze_steps: int = TrainingSettings.freeze_steps,
        noise_seed: int | None = TrainingSettings.noise_seed,
        remat: bool = TrainingSettings.remat,
        **kwargs: Any,
    ) -> None:
        """As ``keras.Model.compile``, without loss and metrics: a flow has its own.

        On TensorFlow, XLA is off unless ``jit_compile=True``, because it compiles for minutes
        before the first step; JAX always compiles. All arguments are saved in ``.keras`` files.

        Args:
            optimizer: as in Keras.
            loss: None; a flow minimizes bits per dimension.
            <settings>
            **kwargs: as in Keras.

        Raises:
            ValueError: a loss, loss weights or metrics, since a flow has no target; or a setting
                that does not apply to this flow.
        """
        if loss is not None:
            raise ValueError(
                f"loss must be None, a flow minimizes bits per dimension; got {loss!r}"
            )
        for name in ("loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name):
                raise ValueError(
                    f"{name} must be None, a flow has no target and reports bits_per_dim; got "
                    f"{kwargs[name]!r}"
                )
        kwargs["jit_compile"] = backend.jit_compile(kwargs.get("jit_compile"))
        settings = TrainingSettings(zero_latent_weight, freeze_steps, noise_seed, remat)
        self._settings = settings.check(self)
        backend.devices.check_compile(self, optimizer, kwargs["jit_compile"])
        with backend.devices.step_scope(self):
            super().compile(optimizer=optimizer, **kwargs)
        backend.devices.prepare_optimizer(self)

    @property
    def metrics(self) -> list[Any]:
        """Metrics of ``fit``; ``zero_latent_error``, in grey levels, with its weight only."""
        return [
            m
            for m in super().metrics
            if m is not self._zero_latent_error or self._settings.zero_latent_weight
        ]

    def step_number(self) -> Tensor:
        """The number of the training step that is being computed; 0 without an optimizer."""
        optimizer = getattr(self, "optimizer", None)
        if self._traced_step is not None or optimizer is None:
            return 0 if self._traced_step is None else self._traced_step
        return optimizer.iterations

    def compute_loss_and_updates(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' own, which only JAX calls; there the step is an argument, not a variable."""
        state = kwargs.get("optimizer_variables")
        if state:
            self._traced_step = backend.step_in(self.optimizer, state)
        try:
            return super().compute_loss_and_updates(*args, **kwargs)
        finally:
            self._traced_step = None

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """``-mean(log_prob) / (D ln 2)`` plus the layers' own losses; see ``zero_latent_weight``.

        With weights ``-mean(weight log_prob) / (D ln 2)``, as Keras' own losses.
        """
        if y is not None and self.conditional:
            raise ValueError(
                f"{self.name}: got a second element as target y; Keras reads (a, b) as (x, y). "
                f"A conditional flow takes {checks.FORMS}"
            )
        log_prob = y_pred
        weight = self._weight(x, sample_weight)
        if weight is not None:
            log_prob = log_prob * ops.cast(weight, log_prob.dtype)
        loss = -ops.mean(log_prob) / (self.num_dims * LN2)
        if self._settings.zero_latent_weight:
            errors = self.traced_zero_latent_error(x, training)
            self._zero_latent_error.update_state(256.0 * errors)
            loss = loss + self._settings.zero_latent_weight * ops.mean(errors)
        loss = loss + sum(self.losses) if self.losses else loss
        return replicas.scaled(loss, checks.unpack(x)["share"])

    def with_share(self, x: Any, share: replicas.Share) -> dict[str, Any]:
        given = {key: part for key, part in checks.unpack(x).items() if part is not None}
        return super().with_share(given, share)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Adds ``bits_per_dim`` (256 levels) to the metrics given to ``compile``."""
        bits = -y_pred / (self.num_dims * LN2)
        if not checks.is_uint8(checks.unpack(x)["image"]):
            bits = bits + 8.0 * self.float_dims / self.num_dims
        weight = self._weight(x, sample_weight)
        self._bits_per_dim.update_state(bits, sample_weight=weight)
        return super().compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.fit``, with two additions.

        Layers that have not been initialized from data are initialized first, and training stops if
        the loss is NaN or Inf. An unconditional flow ignores a target ``y``, so that data sets of
        (image, label) work; for a conditional flow it is an error.
        """
        options = _named(super().fit, x, y, *args, **kwargs)
        if options.get("class_weight") is not None:
            raise ValueError(
                "class_weight must be None, a flow has no classes; got "
                f"{options['class_weight']!r}. Weight images with sample_weight"
            )
        checked, x = self._checked_source(x, options.pop("sample_weight", None), options)
        held_out = CheckedBatches(self._check_batch, self._shape_of)
        if not getattr(self, "compiled", False):
            raise ValueError(
                "call flow.compile(optimizer) before fit, such as "
                "flow.compile(keras.optimizers.Adam(1e-4, global_clipnorm=1.0))"
            )
        if not self.is_adapted:
            self.adapt(first_batch(x, ADAPT_IMAGES))
        validation = options.get("validation_data")
        if validation is not None:
            options["validation_data"] = self._checked_validation(validation, held_out, options)
        if self.optimizer is not None and not self.optimizer.built:
            # Else the step is traced twice: once to create the optimizer's variables.
            self.optimizer.build(self.trainable_variables)
        callbacks = options.get("callbacks")
        if callbacks is None or isinstance(callbacks, list | tuple):
            options["callbacks"] = [keras.callbacks.TerminateOnNaN(), *(callbacks or [])]
        if not isinstance(x, dict | np.ndarray | keras.utils.PyDataset):
            options.setdefault("shuffle", False)  # of which Keras warns where it can't
        with self._reading(train=checked, test=held_out), backend.devices.step_scope(self):
            return super().fit(**{**options, "x": checked.wrap(x)})

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.evaluate``; uint8 arrays get the noise of seed 0."""
        if kwargs.get("_use_cached_eval_dataset"):  # within fit, which has checked it
            return super().evaluate(x, *args, **kwargs)
        options = _named(super().evaluate, x, *args, **kwargs)
        checked, x = self._checked_source(x, options.pop("sample_weight", None), options)
        with self._reading(test=checked), backend.devices.step_scope(self):
            return super().evaluate(**{**options, "x": checked.wrap(self._with_noise(x))})

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Log-probabilities ``(n,)``; uint8 arrays get the noise of seed 0, as in log_prob."""
        options = _named(super().predict, x, *args, **kwargs)
        self._check_data(x)
        x = loaders.as_arrays(x)
        self._check_shares(x, options.get("batch_size") or BATCH_SIZE)
        x = self._with_noise(x)
        checked = CheckedBatches(self._check_batch, self._shape_of)
        counter = _Batches()
        callbacks = options.get("callbacks")
        if callbacks is None or isinstance(callbacks, list | tuple):
            options["callbacks"] = [counter, *(callbacks or [])]
        with checked.plain_errors(), backend.devices.step_scope(self):
            result = super().predict(**{**options, "x": checked.wrap(x)})
        # Keras takes an early end for that of the data.
        steps = options.get("steps")
        if steps is None or counter.count < steps:
            checked.raise_error()
        return result

    def make_train_function(self, force: bool = False) -> Any:
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = self._with_error(self.train_function, "train")
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        before = self.test_function
        super().make_test_function(force)
        if self.test_function is not before:
            self.test_function = self._with_error(self.test_function, "test")
        return self.test_function

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        x = loaders.as_arrays(x)
        self._check_data(x, sample_weight)
        return super().train_on_batch(x, y, sample_weight, *args, **kwargs)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        x = loaders.as_arrays(x)
        self._check_data(x, sample_weight)
        return super().test_on_batch(x, y, sample_weight, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        x = loaders.as_arrays(x)
        self._check_data(x)
        return super().predict_on_batch(x)

    # --- helpers -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self, **sources: CheckedBatches) -> Iterator[None]:
        """Within the block, steps of these names read these sources."""
        before = self._sources
        self._sources = {**before, **sources}
        try:
            with contextlib.ExitStack() as stack:
                for source in sources.values():
                    stack.enter_context(source.plain_errors())
                yield
        finally:
            self._sources = before

    def _with_error(self, step: Callable[..., Any], name: str) -> Callable[..., Any]:
        """``step`` that, where its source ends at a bad batch, raises the error of that."""

        @functools.wraps(step)
        def checked(*args: Any) -> Any:
            try:
                return step(*args)
            except Exception as error:
                if is_end(error) and name in self._sources:
                    self._sources[name].raise_error()
                raise

        return checked


TrainingSettings.describe_in(FlowTrainer.compile)


def _named(method: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of a call of ``method``, each by its name."""
    options = dict(inspect.signature(method).bind(*args, **kwargs).arguments)
    others = options.pop("kwargs", {})
    return {**options, **others}


class _Batches(keras.callbacks.Callback):
    """Counts the batches of ``predict``."""

    count = 0

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.count = batch + 1
