"""``attnflow compress`` and ``attnflow decompress``."""

import io
from pathlib import Path
from typing import Annotated, Any

import typer

from attnflow_keras.core.files import write_file
from attnflow_keras.core.untrusted import is_plain_name, read_bytes
from attnflow_keras.core.wording import counted
from zoo.cli.common import (
    DATA_HELP,
    Background,
    Json,
    Name,
    Resize,
    check_not_inputs,
    check_out,
    check_out_folder,
    import_backend,
    load_conditioned,
    load_flow,
    row_names,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.registry import info, list_entries

LARGEST = 1 << 32  # bytes of a compressed file


def compress_command(
    name: Name,
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    batch_size: Annotated[
        int, typer.Option(min=1, help="Most images at a time; decompress takes as many.")
    ] = 500,
    resize: Resize = False,
    background: Background = None,
    verify: Annotated[
        bool, typer.Option(help="Decompress the result and compare, which doubles the time.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Compress images without loss, with the likelihood of an unconditional entry.

    Writes all images to one file. Decompression needs the same entry and the same software and
    hardware, which the file records. Keep the original images too.
    """
    check_out(out)
    check_not_inputs([out], [Path(data)])
    entry = info(name)
    _check_keeps_colours(entry, data)
    images, condition = load_conditioned(entry, data, resize, background=background)
    names = _names(data, len(images))
    flow = load_flow(name)
    from attnflow_keras import coding
    from attnflow_keras.metrics import evaluate_bits_per_dim

    known = {str(key): str(entry[key]) for key in ("name", "sha256") if key in entry}
    with working("compressing", images.size) as report:
        packed = coding.compress(flow, images, batch_size, known or None, names, report)
    if verify:
        with working("reading it back", images.size) as report:
            back = coding.decompress(flow, packed, progress=report)
        if (back != images).any():  # decompress compares hashes; this is the last word
            raise coding.CompressedError("the images came back different")
    write_file(out, packed)
    with working("scoring", len(images)) as report:
        score = evaluate_bits_per_dim(flow, images, data, 1, 0, batch_size, report, condition)
    header = coding.read_header(packed)
    figures: dict[str, Any] = {
        "images": len(images),
        "method": header.method,
        "bytes": len(packed),
        "header_bytes": header.size,
        "noise_bytes": 4 * header.noise_words,
        "bits_per_dim": round(8 * len(packed) / images.size, 5),
        "model_bits_per_dim": round(score["value"], 5),
        "verified": verify,
    }
    if as_json:
        print_json({"out": str(out), **figures})
    else:
        console.print(
            f"{counted(len(images), 'image')}, {images.size:,} bytes of grey levels, in "
            f"{len(packed):,} bytes: {figures['bits_per_dim']:.4f} bits/dim, with the header of "
            f"{header.size:,} bytes{_noise(header)}; the model's is "
            f"{figures['model_bits_per_dim']:.4f}"
        )
    (notes if as_json else console).print(f"wrote {out}{'' if verify else ', not verified'}")


def decompress_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What attnflow compress wrote.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for PNG files, or a .npy file for uint8 (n, h, w, c)."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--entry", help="The entry that compressed it, where the file names none of the zoo's."
        ),
    ] = None,
    any_runtime: Annotated[
        bool,
        typer.Option(
            "--any-runtime", help="Try it on another runtime too; the result is compared anyway."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder or file that exists.")
    ] = False,
) -> None:
    """Give back the images that attnflow compress was given, to the last bit of each pixel."""
    as_array = out.suffix.lower() == ".npy"
    (check_out if as_array else check_out_folder)(out)
    check_not_inputs([out], [file])
    if out.exists() and not overwrite:
        how = "replaces it" if as_array else "writes into it"
        raise FileExistsError(f"{out} exists; --overwrite {how}")
    packed = read_bytes(file, LARGEST)
    with working("loading"):
        import_backend()
        from attnflow_keras import coding
    header = coding.read_header(packed)
    flow = load_flow(_entry_of(header, name))
    with working("decompressing", header.values) as report:
        images = coding.decompress(flow, packed, any_runtime, report)
    _write(out, images, header.names, as_array)
    console.print(f"wrote {out}, {counted(len(images), 'image')}")


def _noise(header: Any) -> str:
    if not header.noise_words:
        return ""
    return f" and the {4 * header.noise_words:,} bytes that bits-back coding starts with"


def _check_keeps_colours(entry: Any, data: str) -> None:
    """Raise ValueError for an image in colour where the entry's are grey: what is read is grey."""
    if entry["config"]["image_shape"][-1] != 1 or not Path(data).exists():
        return
    from attnflow_keras.data.picture_files import Notes, find_pictures
    from attnflow_keras.data.pictures import SUFFIXES, open_picture

    path = Path(data)
    is_picture = path.suffix.lower() in SUFFIXES
    files = find_pictures(path, Notes(path)) if path.is_dir() else [path] if is_picture else []
    for file in files:
        if open_picture(file).coloured:
            raise ValueError(
                f"{file} has colours, which would be lost: the images of {entry['name']} are grey"
            )


def _names(data: str, count: int) -> list[str]:
    """Names of the images of a folder; none of anything else."""
    if not Path(data).is_dir():
        return []
    names = [file.rpartition(".")[0] or file for file in row_names(data, None, count)]
    if len(set(names)) < count:
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{data} has several files named {twice}, up to the ending; decompressed they would "
            "be one"
        )
    for name in names:
        if not all(map(is_plain_name, name.split("/"))):
            raise ValueError(f"{data}: {name!r} has signs that not every system allows; rename it")
    return names


def _entry_of(header: Any, name: str | None) -> str:
    """The entry to load: the user's choice, or one of the zoo's that the header names."""
    entry = header.entry or {}
    if name is not None:
        return name
    # Not just any name: a folder or an address in a file is somebody else's choice.
    if entry.get("name") in list_entries(pretrained=True):
        return f"{entry['name']}@sha256:{entry['sha256']}" if "sha256" in entry else entry["name"]
    raise ValueError(
        f"the images were compressed by {entry.get('name', 'a flow without a name')!r}, which is "
        "none of the zoo's entries with weights; name its folder or address with --entry"
    )


def _write(out: Path, images: Any, names: list[str], as_array: bool) -> None:
    import numpy as np

    from attnflow_keras.data import save_image

    if as_array:
        content = io.BytesIO()
        np.save(content, images)
        write_file(out, content.getvalue())
        return
    names = names or [f"{i:05d}" for i in range(len(images))]
    with working(f"writing {out}", len(images)) as report:
        for number, (name, image) in enumerate(zip(names, images, strict=True)):
            save_image(out / f"{name}.png", image)
            report(number + 1)
