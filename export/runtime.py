"""Run an export with NumPy and onnxruntime alone."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.exactness import level_errors, require_exact
from attnflow_keras.core.palettes import as_classes
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.core.wording import counted
from export import manifest
from export.arguments import check_levels, check_shape, converted, floats, graph_inputs, sides
from export.providers import choose_providers, load_graph, run_graph

BATCH_SIZE = 64


class Session:
    """An exported flow, served by onnxruntime.

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
        ExportError: not a sound export, see ``export.manifest.read``.
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
        self.image_shape: tuple[int, ...] = tuple(image["shape"])
        self.float_shape: tuple[int, ...] = tuple(image["float_shape"])
        self.num_dims = int(np.prod(self.image_shape))
        self.float_dims = int(np.prod(self.float_shape))
        self.latent_shapes = tuple(tuple(z["shape"]) for z in self.manifest["latents"])
        self.conditional: bool = self.manifest["condition"] is not None
        self._preprocess = Preprocess.from_config(image["preprocess"])
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

    # --- images --------------------------------------------------------------------------

    def dequantize(
        self, images: np.ndarray, seed: int | None = 0, center: bool = False
    ) -> np.ndarray:
        """``(k + u) / 256 - 0.5``: uint8 to float32, with the noise that Keras draws too.

        Args:
            images: uint8 ``(n, *image_shape)``.
            seed: seed of u; None for fresh noise.
            center: use u = 1/2 instead. Noise near 0 or 1 lies so close to the next level that
                rounding in decode(encode(x)) can reach it.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8:
            raise ValueError(f"dequantize takes uint8 images; got dtype {images.dtype}")
        images = self._preprocess.expand(self._images(images))
        if center:
            return noise.dequantize(images, 0.5)
        rng = noise.generator(seed, noise.DEQUANTIZATION)
        return noise.dequantize(images, noise.uniform_noise(rng, images.shape))

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Grey levels (uint8) of float images ``(n, *float_shape)``."""
        x = np.asarray(x)
        if x.dtype == np.uint8:
            raise ValueError("quantize takes float images, as decode gives them; got uint8")
        return noise.quantize(self._preprocess.reduce(floats("x", x, self.float_shape)))

    # --- the map -------------------------------------------------------------------------

    def encode(
        self,
        x: np.ndarray,
        condition: Any = None,
        batch_size: int = BATCH_SIZE,
        check: bool = False,
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Latents of float images ``(n, *float_shape)``, and the log-determinant ``(n,)``.

        With ``check`` the latents are decoded too: ValueError if an image does not come back
        within half a grey level, see ``Flow.encode``.
        """
        x = np.asarray(x)
        if x.dtype == np.uint8:
            raise ValueError(
                "encode takes float images; convert uint8 images with dequantize(images) first"
            )
        features = self.features(condition, len(x))
        inputs = {"image": self._images(x, "x"), **features}
        outputs = self._batches("encode", inputs, batch_size)
        latents = tuple(outputs[z["name"]] for z in self.manifest["latents"])
        if check:
            back = self.decode(latents, features or None, batch_size)
            require_exact(level_errors(inputs["image"], back))
        return latents, outputs["log_det"]

    def decode(
        self, latents: Any, condition: Any = None, batch_size: int = BATCH_SIZE
    ) -> np.ndarray:
        """Float images ``(n, *float_shape)`` of latents."""
        if not isinstance(latents, list | tuple) or len(latents) != len(self.latent_shapes):
            came = len(latents) if isinstance(latents, list | tuple) else type(latents).__name__
            raise ValueError(
                f"latents must be a tuple of {len(self.latent_shapes)} arrays with shapes "
                f"(n, *s) for s in {self.latent_shapes}; got {came}"
            )
        inputs: dict[str, np.ndarray] = {}
        for i, (z, shape) in enumerate(zip(latents, self.latent_shapes, strict=True)):
            inputs[f"latent_{i}"] = floats(f"latents[{i}]", z, shape)
        counts = {len(z) for z in inputs.values()}
        if len(counts) != 1:
            raise ValueError(f"latents must hold the same number of images each; got {counts}")
        inputs |= self.features(condition, counts.pop())
        return self._batches("decode", inputs, batch_size)["image"]

    def log_prob(
        self,
        images: np.ndarray,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Log-probability in nats ``(n,)``: of uint8 images a bound, of floats the density."""
        images = np.asarray(images)
        constant = 0.0
        if images.dtype == np.uint8:
            constant = self.float_dims * np.log(256.0)
            images = self.dequantize(images, seed)
        inputs = {"image": self._images(images), **self.features(condition, len(images))}
        return self._batches("log_prob", inputs, batch_size)["log_prob"] - np.float32(constant)

    def bits_per_dim(
        self,
        images: np.ndarray,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Bits per dimension at 256 levels, ``(n,)``; dimensions are those of uint8 images."""
        images = np.asarray(images)
        offset = 0.0
        if images.dtype != np.uint8:
            images = self._images(images, limit=noise.DATA_LIMIT)
            offset = 8.0 * self.float_dims / self.num_dims
        log_prob = self.log_prob(images, condition, seed, batch_size)
        return offset - log_prob / np.float32(self.num_dims * np.log(2.0))

    def sample(
        self,
        n: int | None = None,
        condition: Any = None,
        temperature: float = 1.0,
        seed: int | None = None,
        as_float: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Sample images, uint8 ``(n, *image_shape)``; the same as Keras for the same seed.

        Args:
            n: number of images; if not given 1, or that of the conditions.
            condition: condition or its features: one for each image, or one for all.
            temperature: standard deviation of the latents.
            seed: seed of the latents; None for fresh ones.
            as_float: return float images as decoded, not quantized.
            batch_size: maximum batch size.
        """
        noise.check_is_count(n, "session")
        if n is None:
            n = 1
            if condition is not None:
                parts = condition.values() if isinstance(condition, dict) else [condition]
                n = len(next(iter(parts)))
        latents = noise.draw_latents(n, list(self.latent_shapes), temperature, seed)
        x = self.decode(latents, condition, batch_size)
        noise.check_sampled(x, temperature)
        return x if as_float else self.quantize(x)

    def transfer(
        self,
        photo: np.ndarray,
        label: np.ndarray,
        new_label: np.ndarray,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Keep a photo's latents and change its label, as flows for label to photo do in Keras.

        Args:
            photo: uint8 ``(n, *image_shape)``.
            label: its label maps.
            new_label: the label maps to show instead, one for each photo; or one for all, or
                several for one photo.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, *image_shape)``, as many as there are photos or new label maps.
        """
        latents, _ = self.encode(self.dequantize(photo, center=True), label, batch_size)
        if len(latents[0]) == 1 and len(new_label) > 1:
            latents = tuple(np.repeat(z, len(new_label), axis=0) for z in latents)
        return self.quantize(self.decode(latents, new_label, batch_size))

    def features(self, condition: Any, n: int) -> dict[str, Any]:
        """Named features of a condition, by the ``condition`` graph; features pass as they are.

        Args:
            condition: the raw condition ``(n, ...)``, or what this method gave for it. Label maps
                are classes, or colours of the palette that the manifest records.
            n: number of images; a single condition is repeated for all of them.
        """
        if condition is None:
            if self.conditional:
                shape = tuple(self.manifest["condition"]["shape"])
                raise ValueError(f"condition is missing; expected shape (n, {sides(shape)})")
            return {}
        if not self.conditional:
            raise ValueError("condition was given, but this export is unconditional")
        if not isinstance(condition, dict):
            given = self.manifest["condition"]
            array = np.asarray(condition)
            if given.get("palette") and array.shape[1:] == (*given["shape"], 3):
                array = as_classes(array, given["palette"], name="condition")
            if array.shape[1:] != tuple(given["shape"]):
                raise ValueError(
                    f"condition must have shape (n, {sides(given['shape'])}); got {array.shape}"
                )
            check_levels(array, given)
            array = converted("condition", array, given["dtype"])
            condition = self.run("condition", {"condition": array})
        counts = {len(part) for part in condition.values()}
        if counts == {1} and n != 1:
            return {name: np.repeat(part, n, axis=0) for name, part in condition.items()}
        if counts != {n}:
            found = " or ".join(map(str, sorted(counts)))
            raise ValueError(f"condition holds {found} items for {counted(n, 'image')}")
        return condition

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

    def _batches(self, name: str, inputs: dict[str, Any], batch_size: int) -> dict[str, np.ndarray]:
        check_integer("batch_size", batch_size)
        n = len(next(iter(inputs.values())))
        parts = [
            self.run(name, {key: value[i : i + batch_size] for key, value in inputs.items()})
            for i in range(0, n, batch_size)
        ]
        if len(parts) == 1:
            return parts[0]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _images(
        self, images: np.ndarray, name: str = "images", limit: float = noise.FLOAT_LIMIT
    ) -> np.ndarray:
        """Checked images: uint8 of ``image_shape``, or float32 of ``float_shape``."""
        if images.dtype == np.uint8:
            check_shape(name, images.shape, self.image_shape)
            return images
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(
                f"{name} must be uint8 (0 to 255) or floats in [-0.5, 0.5]; got dtype "
                f"{images.dtype}"
            )
        images = floats(name, images, self.float_shape)
        noise.check_range(name, images)
        noise.check_range(name, images, limit, images=False)
        return images
