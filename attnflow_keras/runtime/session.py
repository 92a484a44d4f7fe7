"""Run an export with NumPy and onnxruntime alone."""

from pathlib import Path
from typing import Any

from attnflow_keras.core.arrays import sides
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.arguments import graph_inputs
from attnflow_keras.runtime.exported import ExportedFlow
from attnflow_keras.runtime.providers import choose_providers, load_graph, run_graph


class Session(ExportedFlow):
    """An exported flow in onnxruntime, with the methods of :class:`ImageModel`.

    Graphs are loaded on first use. A session can be pickled and copied; the copy loads the graphs
    from the same folder. Arrays are NumPy; :meth:`run` also takes and returns onnxruntime's own
    values, which may be on a GPU.

    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)
    >>> differences = export.onnx(flow, "out/onnx")
    >>> session = Session("out/onnx", providers="cpu")
    >>> session.sample(4, temperature=0.8, seed=0).shape
    (4, 8, 8, 1)

    Args:
        folder: a folder written by ``export.onnx``.
        providers: None for CUDA if available, otherwise the CPU; ``"cpu"``, ``"cuda"``,
            ``"tensorrt"``, or a list of onnxruntime's form, with options:
            ``[("cuda", {"device_id": 1}), "cpu"]``. The short name ``"cuda"`` turns TF32 off
            unless an option enables it; ``"CUDAExecutionProvider"`` is passed on unchanged.
        threads: threads per operation on the CPU; None for all cores.
        check_files: verify the SHA-256 of every file, and of graphs again when they are loaded.

    Raises:
        FileNotFoundError: no such folder.
        ExportError: not a valid export, see ``attnflow_keras.runtime.manifest.read``.
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
        super().__init__(manifest.read(folder, check_files))
        self.check_files = bool(check_files)
        self.providers = choose_providers(providers)
        self.threads = check_integer("threads", threads, none=True)
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
        # onnxruntime's sessions can't be pickled; a copy loads the graphs again.
        return {**self.__dict__, "_graphs": {}}

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
            inputs: NumPy arrays, which are converted to the graph's dtype if it can represent
                them; or ``onnxruntime.OrtValue`` of that dtype on any device, which are used
                without a copy.
            device: None returns NumPy arrays; ``"cpu"`` or ``"cuda"`` returns ``OrtValue`` there.
            device_id: number of the device.

        Returns:
            Output name -> array.

        Raises:
            ValueError: not a dict, wrong names, shapes or dtypes, values of another type, an empty
                batch, or a device that no provider of this session supports.
        """
        graph = self.graph(name)
        return run_graph(graph, graph_inputs(graph, inputs), device, device_id)
