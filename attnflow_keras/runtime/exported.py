"""ExportedFlow: a flow described by a manifest, independent of the runtime."""

from typing import Any

import numpy as np

from attnflow_keras.core.conditions import ConditionKind, from_description
from attnflow_keras.core.image_map import BATCH_SIZE
from attnflow_keras.core.image_model import ImageModel
from attnflow_keras.core.preprocess import Preprocess


class ExportedFlow(ImageModel):
    """The primitives of :class:`ImageModel` on the graphs of an export; a subclass runs these.

    Args:
        content: the manifest.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.manifest = content
        image = content["image"]
        self.image_shape = tuple(image["shape"])
        self.float_shape = tuple(image["float_shape"])
        self.num_dims = int(np.prod(self.image_shape))
        self.float_dims = int(np.prod(self.float_shape))
        self.latent_shapes = tuple(tuple(z["shape"]) for z in content["latents"])
        condition = content["condition"]
        self.conditional = condition is not None
        self._kind = from_description(condition, self.image_shape) if condition else None
        self.preprocess = Preprocess.from_config(image["preprocess"])

    def run(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Outputs of one graph on one batch, by name."""
        raise NotImplementedError

    @property
    def condition_kind(self) -> ConditionKind | None:
        """Kind of the flow's condition, from the manifest."""
        return self._kind

    @property
    def side_multiple(self) -> int:
        """The sides of tiles must be multiples of this."""
        return int(self.manifest["image"].get("side_multiple") or super().side_multiple)

    @property
    def value_order(self) -> dict[str, Any] | None:
        """Order of the values of an image, if the exported flow has one."""
        return self.manifest["image"].get("order")

    def _encode(self, x: Any, condition: Any, batch_size: int) -> tuple[tuple, np.ndarray]:
        outputs = self._batches("encode", {"image": x}, condition, batch_size)
        return tuple(outputs[z["name"]] for z in self.manifest["latents"]), outputs["log_det"]

    def _decode(self, latents: tuple, condition: Any, batch_size: int) -> np.ndarray:
        inputs = {f"latent_{i}": z for i, z in enumerate(latents)}
        return self._batches("decode", inputs, condition, batch_size)["image"]

    def _log_prob(self, x: Any, condition: Any, batch_size: int, progress: Any) -> np.ndarray:
        return self._batches("log_prob", {"image": x}, condition, batch_size, progress)["log_prob"]

    def _condition(self, condition: Any, batch_size: int) -> tuple:
        starts = range(0, len(condition), batch_size)
        parts = [self._condition_batch(condition[i : i + batch_size]) for i in starts]
        return tuple(np.concatenate([part[key] for part in parts]) for key in self._feature_names)

    def _condition_batch(self, condition: Any) -> dict[str, Any]:
        return self.run("condition", {"condition": condition})

    def _checked(self, condition: Any) -> Any:
        """As in ``ImageModel``; features may come by name."""
        if isinstance(condition, dict) and self._kind is not None:
            names = self._feature_names
            if set(condition) != set(names):
                raise ValueError(
                    f"condition must hold {', '.join(names)}; got {', '.join(map(str, condition))}"
                )
            condition = tuple(condition[name] for name in names)
        return super()._checked(condition)

    def _check_features(self, features: tuple) -> None:
        names, counts = self._feature_names, {len(part) for part in features}
        if len(features) != len(names) or len(counts) != 1:
            raise ValueError(
                f"condition must be {len(names)} features with the same number of items; got "
                f"{len(features)} of {sorted(counts)}"
            )

    @property
    def _feature_names(self) -> list[str]:
        return [value["name"] for value in self.manifest["graphs"]["condition"]["outputs"]]

    def features(self, condition: Any, n: int) -> dict[str, Any]:
        """Named features of a condition, as the graphs take them.

        Args:
            condition: the raw condition ``(n, ...)``, or features returned by this method. Label
                maps are classes, or colours of the manifest's palette.
            n: number of images; a single condition is repeated for all of them.
        """
        condition = self._one_each(self._checked(condition), n)
        if condition is None:
            return {}
        if not isinstance(condition, tuple):
            condition = self._condition(condition, BATCH_SIZE)
        return dict(zip(self._feature_names, condition, strict=True))

    def _batches(
        self,
        name: str,
        inputs: dict[str, Any],
        condition: Any,
        batch_size: int,
        progress: Any = None,
    ) -> dict[str, np.ndarray]:
        """Outputs of a graph, given float arrays and a condition, raw or as features."""
        inputs = {key: np.asarray(value, "float32") for key, value in inputs.items()}
        features = isinstance(condition, tuple)
        if features:
            inputs |= zip(self._feature_names, condition, strict=True)
        n = len(next(iter(inputs.values())))
        parts = []
        for i in range(0, n, batch_size):
            part = {key: value[i : i + batch_size] for key, value in inputs.items()}
            if condition is not None and not features:
                # Here, because the features of a whole test set may not fit in memory.
                part |= self._condition_batch(condition[i : i + batch_size])
            parts.append(self.run(name, part))
            if progress is not None:
                progress(min(i + batch_size, n))
        if len(parts) == 1:
            return parts[0]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
