"""Run an export with NumPy and onnxruntime alone."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.arrays import sides
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.conditions import ConditionKind, from_description
from attnflow_keras.core.image_map import BATCH_SIZE
from attnflow_keras.core.image_model import ImageModel
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.arguments import graph_inputs
from attnflow_keras.runtime.providers import choose_providers, load_graph, run_graph


class Session(ImageModel):
    """An exported flow, served by onnxruntime, with the methods of :class:`ImageModel`.

    Graphs are loaded when they are first used, and anew by what a session is pickled or copied
    to, which needs the same folder. Arrays are NumPy; :meth:`run` also takes and gives
    onnxruntime's own values, which may live on a GPU.

    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)
    >>> differences = export.onnx(flow, "out/onnx")
    >>> session = Session("out/onnx", providers="cpu")
    >>> session.sample(4, temperature=0.8, seed=0).shape
    (4, 8, 8, 1)

    Args:
        folder: a folder that ``export.onnx`` wrote.
        providers: None for CUDA where onnxruntime has it and else the CPU; ``"cpu"``,
            ``"cuda"``, ``"tensorrt"``, or a list as onnxruntime takes it, with options:
            ``[("cuda", {"device_id": 1}), "cpu"]``. The short name ``"cuda"`` turns TF32 off
            unless an option says otherwise; ``"CUDAExecutionProvider"`` is passed on as it is.
        threads: threads of one operation on the CPU; None for all cores.
        check_files: compare every file with its recorded sha256, graphs also when they are
            loaded.

    Raises:
        FileNotFoundError: no such folder.
        ExportError: not a sound export, see ``attnflow_keras.runtime.manifest.read``.
        ValueError: a provider that this onnxruntime doesn't have.
    """

    def __init__(
        self,
        folder: str | Path,
        providers: Any = None,
        threads: int | None = None,
        check_files: bool = True,
    ) -> None:
        # Absolute: graphs are opened later, perhaps by a process elsewhere.
        self.folder = Path(folder).absolute()
        self.manifest = manifest.read(folder, check_files)
        self.check_files = bool(check_files)
        self.providers = choose_providers(providers)
        self.threads = check_integer("threads", threads, none=True)
        image = self.manifest["image"]
        self.image_shape = tuple(image["shape"])
        self.float_shape = tuple(image["float_shape"])
        self.num_dims = int(np.prod(self.image_shape))
        self.float_dims = int(np.prod(self.float_shape))
        self.latent_shapes = tuple(tuple(z["shape"]) for z in self.manifest["latents"])
        condition = self.manifest["condition"]
        self.conditional = condition is not None
        self._kind = from_description(condition, self.image_shape) if condition else None
        self.preprocess = Preprocess.from_config(image["preprocess"])
        self._graphs: dict[str, Any] = {}

    def __repr__(self) -> str:
        read = self.manifest
        condition = ""
        if self.conditional:
            condition = f" condition=({sides(read['condition']['shape'])})"
        providers = [given if isinstance(given, str) else given[0] for given in self.providers]
        return (
            f"<Session name={read['name']} image=({sides(self.image_shape)}){condition} "
            f"precision={read['precision']} providers={','.join(providers)} "
            f"folder={str(self.folder)!r}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        # onnxruntime's sessions can't be pickled; the other side opens the graphs anew.
        return {**self.__dict__, "_graphs": {}}

    # --- primitives ----------------------------------------------------------------------

    @property
    def condition_kind(self) -> ConditionKind | None:
        """What the flow is conditioned on, as the manifest describes it."""
        return self._kind

    @property
    def side_multiple(self) -> int:
        """What the sides of the images of a tile must be divisible by."""
        return int(self.manifest["image"].get("side_multiple") or super().side_multiple)

    @property
    def value_order(self) -> dict[str, Any] | None:
        """Order of the values of an image, where the exported flow has one."""
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
                f"condition must be {len(names)} features of as many items each; got "
                f"{len(features)} of {sorted(counts)}"
            )

    @property
    def _feature_names(self) -> list[str]:
        return [value["name"] for value in self.manifest["graphs"]["condition"]["outputs"]]

    def features(self, condition: Any, n: int) -> dict[str, Any]:
        """Named features of a condition, as the graphs take them.

        Args:
            condition: the raw condition ``(n, ...)``, or what this method gave for it. Label maps
                are classes, or colours of the palette that the manifest records.
            n: number of images; a single condition is repeated for all of them.
        """
        condition = self._one_each(self._checked(condition), n)
        if condition is None:
            return {}
        if not isinstance(condition, tuple):
            condition = self._condition(condition, BATCH_SIZE)
        return dict(zip(self._feature_names, condition, strict=True))

    # --- graphs --------------------------------------------------------------------------

    def graph(self, name: str) -> Any:
        """The ``onnxruntime.InferenceSession`` of ``encode``, ``decode``, ``log_prob`` or
        ``condition``."""
        check_choice("graph", name, self.manifest["graphs"])
        if name not in self._graphs:
            file = self.manifest["graphs"][name]["file"]
            data = manifest.read_file(self.folder, file, self.manifest, self.check_files)
            self._graphs[name] = load_graph(file, data, self.providers, self.threads)
        return self._graphs[name]

    def run(
        self, name: str, inputs: dict[str, Any], device: str | None = None, device_id: int = 0
    ) -> dict[str, Any]:
        """Run one graph on one batch.

        Args:
            name: the graph.
            inputs: NumPy arrays, which are converted to the graph's dtype where it can hold
                them; or ``onnxruntime.OrtValue`` of that dtype on any device: those are bound
                where they are, without a copy through the CPU.
            device: None gives NumPy arrays; ``"cpu"`` or ``"cuda"`` gives ``OrtValue`` there.
            device_id: which device.

        Returns:
            Output name -> array.

        Raises:
            ValueError: no dict, other names than the graph's, something that is neither kind of
                array, another shape or dtype, an empty batch, or a device that no provider of this
                session serves.
        """
        graph = self.graph(name)
        return run_graph(graph, graph_inputs(graph, inputs), device, device_id)

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
