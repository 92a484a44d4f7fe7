"""``attnflow web``."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.common import Json, check_out_folder
from zoo.cli.console import console, notes, print_json, working


def web_command(
    folder: Annotated[Path, typer.Argument(help="A folder that 'attnflow export' wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="The tarball of onnxruntime-web, or a folder of its files. Default: the one in "
            "the cache, which is fetched the first time (33 MB)."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    class_names: Annotated[
        str | None,
        typer.Option(help="Names of the classes, with commas, for an export that has some."),
    ] = None,
    examples: Annotated[
        bool,
        typer.Option(help="Offer the images that the export has recorded, which then are public."),
    ] = True,
    webgpu: Annotated[
        bool,
        typer.Option("--webgpu", help="Use the visitor's GPU where that can be; 13 MB more."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Write a static site that runs an export in the browser. No TensorFlow.

    Any server for files shows it: python -m http.server -d site
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
