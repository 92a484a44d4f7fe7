"""``attnflow serve``."""

from pathlib import Path
from typing import Annotated

import typer

from attnflow_keras.core.extras import install_command
from zoo.cli.interrupts import on_interrupt, patient


def serve_command(
    folder: Annotated[Path, typer.Argument(help="A folder written by 'attnflow export'.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 8000,
    provider: Annotated[
        str | None, typer.Option(help="cpu, cuda, tensorrt. Default: CUDA if available.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads per operation. Default: all cores.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Maximum images per request.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Maximum batch size.")] = 64,
    requests: Annotated[
        int, typer.Option(min=1, help="Maximum running and waiting requests; others get 503.")
    ] = 32,
    connections: Annotated[int, typer.Option(min=1, help="Maximum open connections.")] = 64,
    connections_per_client: Annotated[
        int, typer.Option(min=1, help="Maximum open connections per address.")
    ] = 16,
) -> None:
    """Serve an export over HTTP with onnxruntime: score, sample, restore, translate.

    GET /docs is the reference, /model describes the model, /metrics is for Prometheus, /healthz for
    probes. Ctrl-C or SIGTERM stops the server after the requests in flight, a second Ctrl-C
    immediately.
    """
    try:
        from attnflow_keras.serving.server import serve
    except ImportError as error:
        raise ImportError(f"serve needs {error.name}: {install_command('serve')}") from error
    # uvicorn takes Ctrl-C, and returns when requests in flight have been answered.
    with on_interrupt(lambda: "the server has stopped"), patient():
        serve(
            folder,
            host,
            port,
            provider,
            threads,
            images=images,
            batch=batch,
            requests=requests,
            connections=connections,
            connections_per_client=connections_per_client,
        )
