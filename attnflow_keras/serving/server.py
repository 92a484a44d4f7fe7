"""Start the server."""

import os
import socket
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from attnflow_keras.runtime import Session
from attnflow_keras.serving.app import make_app
from attnflow_keras.serving.connections import settings
from attnflow_keras.serving.limits import Limits, checked

EXPORT = "ATTNFLOW_EXPORT"
PROVIDER = "ATTNFLOW_PROVIDER"


def serve(
    folder: str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    provider: str | None = None,
    threads: int | None = None,
    **limits: Any,
) -> None:
    """Serve an export until the process is stopped; requests in flight are completed first.

    Args:
        folder: a folder that ``export.onnx`` wrote.
        host: address to listen on; ``"0.0.0.0"`` for all.
        port: 0 for any that is free.
        provider: as :class:`attnflow_keras.runtime.Session` takes it.
        threads: threads of one operation on the CPU; None for all cores.
        **limits: fields of :class:`Limits`.

    Raises:
        ExportError: not a valid export.
        OSError: no such folder, or a port that is taken.
        ValueError: a limit that is out of range, or a provider that is not there.
    """
    import uvicorn

    given = checked(Limits()._replace(**limits))
    api = make_app(Session(folder, provider, threads), given)
    # Here, and not in uvicorn, which would log a taken port and exit.
    with listening(host, port) as found:
        address, taken = found.getsockname()[:2]
        print(f"serving {folder} at http://{address}:{taken}, its reference at /docs", flush=True)
        config = uvicorn.Config(api, log_level="warning", **settings(given))
        uvicorn.Server(config).run(sockets=[found])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: the port is taken, or the host is not one of this machine's addresses.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol stated asyncio turns Nagle's algorithm off; without it every answer
        # waits 40 ms for the acknowledgement of its headers.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        raise OSError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    return found


def app() -> FastAPI:
    """For uvicorn and others like it: the export in the variable ``ATTNFLOW_EXPORT``."""
    folder = os.environ.get(EXPORT)
    if not folder:
        raise SystemExit(f"{EXPORT} must name a folder that export.onnx wrote; it is not set")
    return make_app(Session(folder, os.environ.get(PROVIDER)))
