"""The files of onnxruntime-web that a site needs, each of one known content.

``python -m export.web_runtime`` fetches them into the cache and prints where they are.
"""

import hashlib
import http.client
import os
import tarfile
import urllib.request
from io import BytesIO
from pathlib import Path

from attnflow_keras.core.files import open_regular, write_file
from attnflow_keras.runtime.errors import ExportError

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
BYTES = 33_106_585
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
# The plain WebAssembly build: all operators, on the CPU.
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
# The build that has WebGPU too, twice the size.
WEBGPU_FILES = {
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": (
        "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28"
    ),
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
    ),
}
TIMEOUT = 60  # seconds without a byte


def cached() -> Path:
    """Where the tarball is kept, in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "attnflow-keras" / f"onnxruntime-web-{VERSION}.tgz"


def runtime_files(given: str | Path | None = None, webgpu: bool = False) -> dict[str, bytes]:
    """Name -> content of the files in ``FILES``, or in ``WEBGPU_FILES``.

    Args:
        given: the tarball of the npm package, or a folder that holds the files, perhaps in
            ``dist`` or ``package/dist``; None for the tarball in the cache, which is fetched
            where it isn't there.
        webgpu: whether it is the build with WebGPU that is wanted.

    Raises:
        ExportError: no such file or folder, another version, or no network.
    """
    wanted = WEBGPU_FILES if webgpu else FILES
    path = Path(given) if given is not None else fetch()
    if path.is_dir():
        return {
            name: _checked(path, name, digest, _of_folder(path, name))
            for name, digest in wanted.items()
        }
    if not path.exists():
        raise ExportError(f"no runtime at {path}")
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ExportError(f"{path} is not the tarball of onnxruntime-web {VERSION}: {_where()}")
    return _of_tarball(path, data, wanted)


def fetch() -> Path:
    """The tarball in the cache, fetched once.

    Raises:
        ExportError: no network, or what came is something else.
    """
    path = cached()
    if path.is_file() and hashlib.sha256(_read(path)).hexdigest() == SHA256:
        return path
    try:
        with urllib.request.urlopen(URL, timeout=TIMEOUT) as response:
            data = response.read(BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ExportError(f"can't fetch {URL}: {reason}; {_where()}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ExportError(f"{URL} gave another file than that of sha256 {SHA256}; {_where()}")
    write_file(path, data)
    return path


def _where() -> str:
    return "give the tarball, or a folder of its files, with runtime= (--runtime)"


def _read(path: Path) -> bytes:
    with open_regular(path) as file:
        return bytes(file.read(BYTES + 1))


def _of_folder(folder: Path, name: str) -> bytes:
    for place in (folder, folder / "dist", folder / "package" / "dist"):
        if (place / name).is_file():
            return _read(place / name)
    raise ExportError(f"{folder} has no {name}, a file of onnxruntime-web {VERSION}; {_where()}")


def _of_tarball(path: Path, data: bytes, wanted: dict[str, str]) -> dict[str, bytes]:
    found = {}
    # Only regular members of these names are read, and nothing is unpacked to disk.
    names = {f"package/dist/{name}": name for name in wanted}
    with tarfile.open(fileobj=BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            name = names.get(member.name)
            file = archive.extractfile(member) if name and member.isreg() else None
            if name and file:
                found[name] = _checked(path, name, wanted[name], file.read(BYTES + 1))
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ExportError(f"{path} has no {', '.join(missing)}; {_where()}")
    return found


def _checked(source: Path, name: str, digest: str, data: bytes) -> bytes:
    if hashlib.sha256(data).hexdigest() != digest:
        raise ExportError(f"{name} in {source} is not that of onnxruntime-web {VERSION}")
    return data


if __name__ == "__main__":
    print(fetch())
