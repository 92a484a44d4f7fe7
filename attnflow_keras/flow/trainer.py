"""What a flow does in ``compile``, ``fit``, ``evaluate`` and ``predict``."""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from attnflow_keras.core import noise
from attnflow_keras.core.wording import counted
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow import loaders
from attnflow_keras.flow.batches import CheckedBatches, is_end
from attnflow_keras.flow.peek import first_batch
from attnflow_keras.ops import replicas
from attnflow_keras.ops.numerics import LN2

Tensor = Any

ADAPT_IMAGES = 256

WEIGHTED = (
    "With sample_weight, loss is divided by the number of images, bits_per_dim by the sum of their "
    "weights."
)


class FlowTrainer(replicas.SharedSteps, keras.Model):
    """The training half of :class:`attnflow_keras.models.Flow`: a loss and metrics of its own.

    ``mode_weight``, 0 unless set before ``compile``, adds the mean absolute error of the
    zero-temperature sample to the loss of a conditional flow, times this weight and in units of 256
    grey
    levels: the likelihood alone says little of that image.
    """

    # What ``Flow`` provides.
    conditional: bool
    adapted: Any
    float_shape: tuple[int, int, int]
    num_dims: int
    float_dims: int
    adapt: Any
    _as_images: Any
    _shape_of: Any
    _check_condition: Any
    _bits_per_dim: keras.metrics.Mean
    _mode_error: keras.metrics.Mean
    traced_mode_error: Any
    # What Keras provides.
    train_function: Any
    test_function: Any

    mode_weight = 0.0
    _traced_step: Any = None
    #: What is being read, by "train" and "test".
    _sources: Mapping[str, CheckedBatches] = types.MappingProxyType({})

    @property
    def is_adapted(self) -> bool:
        """Whether data-dependent initialization has happened, here or before saving."""
        return bool(ops.convert_to_numpy(self.adapted))

    def compile(self, optimizer: Any = "adam", loss: Any = None, **kwargs: Any) -> None:
        """As ``keras.Model.compile``, without loss and metrics: a flow has its own.

        On TensorFlow XLA is off unless ``jit_compile=True`` asks for it: it takes minutes before
        the first step.

        Raises:
            ValueError: a loss, loss weights or metrics; there is no target that they could
                compare with.
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
        if self.mode_weight and not self.conditional:
            raise ValueError(
                "mode_weight must be 0 for an unconditional flow, which has one image at "
                f"temperature 0; got {self.mode_weight!r}"
            )
        if keras.backend.backend() == "tensorflow":
            kwargs.setdefault("jit_compile", False)
        super().compile(optimizer=optimizer, **kwargs)

    @property
    def metrics(self) -> list[Any]:
        """Metrics of ``fit``: ``mode_error``, in grey levels, only with ``mode_weight``."""
        return [m for m in super().metrics if m is not self._mode_error or self.mode_weight]

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
            optimizer: Any = self.optimizer
            counter = getattr(optimizer, "inner_optimizer", optimizer).iterations
            places = [i for i, v in enumerate(optimizer.variables) if v is counter]
            self._traced_step = state[places[0]]
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
        """``-mean(log_prob) / (D ln 2)`` plus the layers' own losses; see ``mode_weight``.

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
        if self.mode_weight:
            errors = self.traced_mode_error(x, training)
            self._mode_error.update_state(256.0 * errors)
            loss = loss + self.mode_weight * ops.mean(errors)
        return replicas.scaled(loss + sum(self.losses) if self.losses else loss)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Adds ``bits_per_dim`` (256 levels) to the metrics given to ``compile``."""
        bits = -y_pred / (self.num_dims * LN2)
        if not checks.is_integer(checks.unpack(x)["image"]):
            bits = bits + 8.0 * self.float_dims / self.num_dims
        weight = self._weight(x, sample_weight)
        self._bits_per_dim.update_state(bits, sample_weight=weight)
        return super().compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.fit``, with two additions.

        Data-dependent initialization comes first if it is still due, and training stops at a
        loss that is NaN or Inf. An unconditional flow ignores a target ``y``, so that data sets
        of (image, label) serve; a conditional one refuses it.
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
            options["validation_data"] = self._checked_validation(validation, held_out)
        if self.optimizer is not None and not self.optimizer.built:
            # Else the step is traced twice: once to create the optimizer's variables.
            self.optimizer.build(self.trainable_variables)
        callbacks = options.get("callbacks")
        if callbacks is None or isinstance(callbacks, list | tuple):
            options["callbacks"] = [keras.callbacks.TerminateOnNaN(), *(callbacks or [])]
        if not isinstance(x, dict | np.ndarray | keras.utils.PyDataset):
            options.setdefault("shuffle", False)  # of which Keras warns where it can't
        with self._reading(train=checked, test=held_out):
            return super().fit(**{**options, "x": checked.wrap(x)})

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.evaluate``; uint8 arrays get the noise of seed 0."""
        if kwargs.get("_use_cached_eval_dataset"):  # within fit, which has checked it
            return super().evaluate(x, *args, **kwargs)
        options = _named(super().evaluate, x, *args, **kwargs)
        checked, x = self._checked_source(x, options.pop("sample_weight", None), options)
        with self._reading(test=checked):
            return super().evaluate(**{**options, "x": checked.wrap(self._with_noise(x))})

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Log-probabilities ``(n,)``; uint8 arrays get the noise of seed 0, as in log_prob."""
        options = _named(super().predict, x, *args, **kwargs)
        self._check_data(x)
        x = self._with_noise(loaders.as_arrays(x))
        checked = CheckedBatches(self._check_batch, self._shape_of)
        counter = _Batches()
        callbacks = options.get("callbacks")
        if callbacks is None or isinstance(callbacks, list | tuple):
            options["callbacks"] = [counter, *(callbacks or [])]
        with checked.plain_errors():
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

    def _checked_source(
        self, x: Any, weight: Any, options: dict[str, Any]
    ) -> tuple[CheckedBatches, Any]:
        """Check arrays, put weights where they belong, and explain the loss that they give."""
        x = loaders.as_arrays(x)
        self._check_data(x)
        x = self._with_weight(x, weight)
        spec = getattr(x, "element_spec", None)
        weighted = weight is not None or (isinstance(spec, tuple) and len(spec) == 3)
        if weighted and options.get("verbose", "auto") not in (0, False):
            print(WEIGHTED)
        return CheckedBatches(self._check_batch, self._shape_of), x

    def _checked_validation(self, data: Any, checked: CheckedBatches) -> Any:
        if isinstance(data, list | tuple):
            x, y, weight = (*data, None, None)[:3]
            self._check_data(x, weight)
            if y is None:
                return self._with_noise(self._with_weight(x, weight))
            return (self._with_noise(x), *data[1:])
        self._check_data(data)
        return checked.wrap(self._with_noise(data))

    def _check_data(self, x: Any, weight: Any = None) -> None:
        """Check arrays as a whole; other sources are checked batch by batch."""
        # Keras' own message for a wrong shape comes from deep inside a graph.
        if x is None or isinstance(x, str | int | float):
            raise ValueError(f"x must be {checks.FORMS}; got {x!r}")
        if hasattr(x, "element_spec") and not hasattr(x, "map"):
            raise ValueError(
                "x must be the plain data set, which Keras itself shares out among the replicas; "
                f"got {type(x).__name__}"
            )
        if isinstance(x, dict | list | tuple | np.ndarray) or ops.is_tensor(x):
            self._check_inputs(x, weight)

    def _check_batch(self, batch: Any) -> None:
        x, _, weight = keras.utils.unpack_x_y_sample_weight(batch)
        self._check_inputs(x, weight)

    def _check_inputs(self, x: Any, weight: Any = None) -> None:
        """Raise ValueError unless these are images, conditions and weights to learn from."""
        given = checks.unpack(x)
        image = self._as_images(given["image"], limit=checks.DATA_LIMIT)
        condition = given["condition"]
        self._check_condition(condition)
        images = image.shape[0]
        if condition is not None:
            count = tree.flatten(condition)[0].shape[0]
            if None not in (count, images) and count != images:
                raise ValueError(
                    f"condition must be one for each of {counted(images, 'image')}; got {count}"
                )
            self._check_pair(image, condition)
        weight = given["weight"] if weight is None else weight
        if weight is not None:
            checks.check_weight(weight, images)

    def _check_pair(self, image: Any, condition: Any) -> None:
        """Raise ValueError where images and conditions don't fit one another; for subclasses."""

    def _weight(self, x: Any, sample_weight: Any) -> Any:
        """Weights of the images, from the data set or from ``sample_weight=``."""
        given = checks.unpack(x)["weight"] if isinstance(x, dict) else None
        return sample_weight if given is None else given

    def _with_weight(self, x: Any, sample_weight: Any) -> Any:
        # Keras drops the weights when there is no y, so they go with the images.
        if sample_weight is None:
            return x
        if not isinstance(x, dict | np.ndarray):
            raise ValueError(
                "sample_weight goes with an image array or a dict of arrays; got x of type "
                f"{type(x).__name__}. A data set gives its weights itself, as (x, y, weight)"
            )
        given = checks.unpack(x)
        weight = checks.check_weight(sample_weight, len(given["image"]))
        given["weight"] = weight
        return {key: value for key, value in given.items() if value is not None}

    def _with_noise(self, x: Any) -> Any:
        if isinstance(x, dict | np.ndarray):
            given = checks.unpack(x)
            image = given["image"]
            if isinstance(image, np.ndarray) and given["noise"] is None:
                image = self._as_images(image)
                if checks.is_integer(image):
                    rng = noise.generator(0, noise.DEQUANTIZATION)
                    given["noise"] = noise.uniform_noise(rng, (len(image), *self.float_shape))
                    return {key: value for key, value in given.items() if value is not None}
        return x


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
