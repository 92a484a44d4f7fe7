"""onnxruntime's providers: which to use, and graphs opened and run with them."""

import os
from typing import Any

import numpy as np

from attnflow_keras.runtime.errors import ExportError

SHORT_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# Where a provider's arrays live, other than in the CPU's memory.
DEVICES = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}
# By default, Ampere and later GPUs round the factors of products to 10 bits, and a
# likelihood sums thousands of such products. Who names the provider in full decides himself.
EXACT = {"CUDAExecutionProvider": {"use_tf32": "0"}}
EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


def choose_providers(providers: Any) -> list[Any]:
    """Providers as onnxruntime takes them.

    Raises:
        ValueError: one that this onnxruntime doesn't have, the message lists those it has; or
            something that is no name and no pair of a name and options.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if providers is None:
        providers = [name for name in ("cuda", "cpu") if SHORT_NAMES[name] in available]
    if isinstance(providers, str):
        providers = [providers]
    if not isinstance(providers, list | tuple) or not providers:
        raise ValueError(f"providers must be a name, a list or None; got {providers!r}")
    chosen = []
    for given in providers:
        name, options = _name_and_options(given)
        full = SHORT_NAMES.get(name, name)
        if full not in available:
            hint = (
                "; CUDA needs onnxruntime-gpu instead of onnxruntime, and CUDA's libraries"
                if full == "CUDAExecutionProvider"
                else ""
            )
            raise ValueError(
                f"provider {name!r} is not in this onnxruntime, which has "
                f"{', '.join(available)}{hint}"
            )
        if name != full:
            options = {**EXACT.get(full, {}), **options}
        chosen.append((full, options) if options else full)
    return chosen


def _name_and_options(given: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(given, str):
        return given, {}
    pair = isinstance(given, list | tuple) and len(given) == 2
    if not pair or not isinstance(given[0], str) or not isinstance(given[1], dict):
        raise ValueError(
            f"providers must hold names or pairs (name, dict of options); got {given!r}"
        )
    return given[0], given[1]


def load_graph(name: str, data: bytes, providers: list[Any], threads: int | None = None) -> Any:
    """An inference session of the bytes of one file, called ``name`` in errors.

    Bytes rather than a path, so that what runs is what was hashed. Graphs that keep weights in
    other files are refused: onnxruntime would look for those in the working folder.

    Raises:
        ExportError: onnxruntime can't load it.
        ValueError: a provider was asked for that onnxruntime then left out.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    options.add_session_config_entry(EXTERNAL_FOLDER, os.devnull)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:
        raise ExportError(f"onnxruntime can't load {name}: {error}") from error
    started = session.get_providers()
    for given in providers:
        provider = given if isinstance(given, str) else given[0]
        if provider not in started:
            # onnxruntime leaves it out with no more than a warning.
            raise ValueError(
                f"provider {provider!r} could not be started; onnxruntime would use "
                f"{', '.join(started)}. Remove it from providers if that is acceptable"
            )
    return session


def run_graph(
    graph: Any, inputs: dict[str, Any], device: str | None = None, device_id: int = 0
) -> dict[str, Any]:
    """Outputs of a graph by name, as arrays or, with a device, as ``OrtValue`` there.

    Args:
        graph: an ``onnxruntime.InferenceSession``.
        inputs: checked inputs, see ``attnflow_keras.runtime.arguments.graph_inputs``.
        device: None for NumPy arrays, ``"cpu"`` or ``"cuda"``.
        device_id: which device.

    Raises:
        ValueError: a device that no provider of the graph serves.
    """
    devices = {"cpu"} | {DEVICES[p] for p in graph.get_providers() if p in DEVICES}
    if device is not None and device not in devices:
        raise ValueError(
            f"device must be one of {', '.join(sorted(devices))}, or None, with the providers "
            f"of this session, {', '.join(graph.get_providers())}; got {device!r}"
        )
    names = [output.name for output in graph.get_outputs()]
    if device is None and all(isinstance(value, np.ndarray) for value in inputs.values()):
        return dict(zip(names, graph.run(names, inputs), strict=True))
    binding = graph.io_binding()
    for key, value in inputs.items():
        if isinstance(value, np.ndarray):
            binding.bind_cpu_input(key, value)
        else:
            binding.bind_ortvalue_input(key, value)
    for key in names:
        binding.bind_output(key, device or "cpu", device_id)
    graph.run_with_iobinding(binding)
    values = binding.get_outputs()
    if device is None:
        values = [value.numpy() for value in values]
    return dict(zip(names, values, strict=True))
