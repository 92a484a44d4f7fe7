"""``attnflow web``."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.common import Json, check_out_folder
from zoo.cli.console import console, notes, print_json, working


def web_command(
    folder: Annotated[Path, typer.Argument(help="A folder written by 'attnflow export'.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="Tarball of onnxruntime-web, or a folder of its files. Default: from the cache; "
            "downloaded the first time (33 MB)."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    class_names: Annotated[
        str | None,
        typer.Option(help="Names of the classes, separated by commas."),
    ] = None,
    examples: Annotated[
        bool,
        typer.Option(help="Include the images recorded in the export, which become public."),
    ] = True,
    webgpu: Annotated[
        bool,
        typer.Option("--webgpu", help="Use the visitor's GPU if possible; adds 13 MB."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Write a static site that runs an export in the browser. Does not need TensorFlow.

    Any file server can host it: python -m http.server -d site
    """
    from attnflow_keras.core.files import check_free

    check_out_folder(out)
    check_free(out, overwrite)
    import export

    names = None if class_names is None else [name.strip() for name in class_names.split(",")]
    with working(f"writing {out}"):
        report = export.web(folder, out, runtime, title, names, examples, overwrite, webgpu)
    if as_json:
        print_json({"out": str(out), **report})
    else:
        console.print(f"{report['task']}, {report['bytes'] / 1e6:.1f} MB")
        if report["examples"]:
            console.print(
                f"{report['examples']} images of the export are on the page; --no-examples leaves "
                "them out"
            )
    (notes if as_json else console).print(
        f"wrote {out}; see it with python -m http.server -d {out}"
    )
