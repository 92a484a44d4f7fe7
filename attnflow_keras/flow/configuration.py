"""Configuration, copies and Keras' own export of a flow."""

import dataclasses
from typing import Any, ClassVar

import keras

from attnflow_keras.backend.new_weights import undrawn_weights
from attnflow_keras.core.renamed import with_current_names
from attnflow_keras.flow.frozen import freeze, frozen_ranges


class ConfigurationMixin:
    """``get_config`` and related methods, including frozen layers and compile settings.

    The constructor's defaults are for new flows. A saved configuration states every argument that
    existed when it was written; :attr:`absent` has the values of those added since.
    """

    absent: ClassVar[dict[str, Any]] = {"input_bound": None}

    # What ``Flow`` provides.
    conditional: bool
    condition_shape: tuple[int, ...] | None
    condition_dtype: str
    float_shape: tuple[int, int, int]
    compile: Any
    _settings: Any
    optimizer: Any
    trainable_variables: Any

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()  # type: ignore[misc]
        ranges = frozen_ranges(self)
        return {**config, "frozen": ranges} if ranges else config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A flow from the result of ``get_config``, with the same weights frozen."""
        config = {**cls.absent, **config}
        ranges = config.pop("frozen", ())
        flow = super().from_config(config, custom_objects)  # type: ignore[misc]
        freeze(flow, ranges)
        return flow

    def clone(self, dtype: Any = None, image_shape: Any = None) -> Any:
        """A copy of the flow with its weights; frozen layers stay frozen.

        The copy is not compiled, and has no optimizer.

        >>> flow = models.MARFlow((8, 8, 1), levels=1, steps=1, width=4)
        >>> exact = flow.clone(dtype="float64")

        Args:
            dtype: another dtype policy, such as ``"float64"``.
            image_shape: another ``(height, width, channels)``, if no weight depends on it.

        Raises:
            ValueError: a policy or shape that the flow does not support.
        """
        changes = {"dtype": dtype, "image_shape": image_shape}
        given = {key: value for key, value in changes.items() if value is not None}
        with undrawn_weights():
            copy = type(self).from_config({**self.get_config(), **given})
            copy.build()
        weights = self.get_weights()  # type: ignore[attr-defined]
        if [w.shape for w in weights] != [tuple(v.shape) for v in copy.weights]:
            raise ValueError(
                f"image_shape must be {self.image_shape}, on which weights of "  # type: ignore[attr-defined]
                f"{type(self).__name__} depend; got {image_shape!r}"
            )
        copy.set_weights(weights)
        copy.note_origin(self.origin)  # type: ignore[attr-defined]
        return copy

    def get_compile_config(self) -> dict[str, Any]:
        """Arguments of ``compile``, Keras' and our own."""
        config = super().get_compile_config()  # type: ignore[misc]
        return {**config, **dataclasses.asdict(self._settings)} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded flow as it was when it was saved."""
        self.compile(**with_current_names(keras.saving.deserialize_keras_object(config)))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: Any = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """As ``keras.Model.export``: one function, from float images to log-densities.

        ``export.saved_model`` and ``export.onnx`` of this project write all functions of a flow,
        and compare them with Keras.

        Args:
            filepath: where to write.
            format: a format that Keras offers for its backend.
            verbose: print what was written.
            input_signature: specifications of the inputs; float images ``(n, *float_shape)``
                unless given, with the condition in a dict for a conditional flow.
            **kwargs: as in ``keras.Model.export``.
        """
        if input_signature is None:
            image: Any = keras.InputSpec(
                dtype="float32", shape=(None, *self.float_shape), name="image"
            )
            if self.conditional:
                condition = keras.InputSpec(
                    dtype=self.condition_dtype,
                    shape=(None, *(self.condition_shape or ())),
                    name="condition",
                )
                image = {"image": image, "condition": condition}
            input_signature = [image]
        super().export(filepath, format, verbose, input_signature, **kwargs)  # type: ignore[misc]
