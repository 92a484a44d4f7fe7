"""``python -m attnflow_keras.serving``: the server without the command line's packages."""

import argparse
import sys
from pathlib import Path

from attnflow_keras.runtime import ExportError
from attnflow_keras.serving.limits import Limits


def main() -> None:
    """Read the options, and serve."""
    from attnflow_keras.serving.server import serve

    parser = argparse.ArgumentParser(
        prog="python -m attnflow_keras.serving", description="Serve an export over HTTP."
    )
    parser.add_argument("folder", type=Path, help="a folder that export.onnx wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--provider", help="cpu, cuda, ...; default: CUDA where it is there")
    parser.add_argument("--threads", type=int, help="of one operation; default: all cores")
    for name, default in Limits()._asdict().items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(default), default=default, help=f"default: {default}")
    try:
        serve(**vars(parser.parse_args()))
    except (ExportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
