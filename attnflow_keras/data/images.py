"""Users' images: a folder of PNG, JPEG or WebP, one image, or a .npy or .npz file."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer, check_sides
from attnflow_keras.core.files import write_file
from attnflow_keras.data.picture_files import (
    Notes,
    Unreadable,
    find_pictures,
    fitted,
    read_pixels,
)
from attnflow_keras.data.pictures import MODES, SUFFIXES, PictureError, as_colour, one_line

ARRAYS = (".npy", ".npz")


def load_images(
    path: str | Path,
    image_shape: tuple[int, int, int] | None = None,
    resize: bool = False,
    background: Any = None,
    unreadable: Unreadable | None = None,
) -> np.ndarray:
    """Read images as uint8 ``(n, h, w, c)``.

    EXIF orientation is applied. Other files in a folder, such as hidden ones, are skipped. A
    warning lists what was skipped, resized or composited onto the background, with counts.

    Args:
        path: a folder with PNG, JPEG or WebP files (subfolders included, in order of their paths),
            one such file, or a .npy or .npz file with one array of shape ``(n, h, w)`` or
            ``(n, h, w, c)`` and dtype uint8.
        image_shape: ``(h, w, c)`` that every image must have; images are converted to grey (c = 1)
            or RGB (c = 3). None takes the first image's size and RGB.
        resize: resize images of another size (bicubic) instead of raising. Each side is
            scaled independently, so that a different aspect ratio is stretched.
        background: colour behind transparent pixels: a name such as ``"white"``, ``"#rrggbb"``, or
            ``(red, green, blue)``. None refuses images that have some.
        unreadable: takes the errors of images that can't be read, and the others are returned. None
            raises the first.

    Raises:
        FileNotFoundError: no such file or folder.
        PermissionError: a folder that can't be read.
        ValueError: an empty folder, an unreadable file, a wrong size, dtype or shape, an image of
            more than 8 bits per channel, or transparent pixels and no background.
    """
    if image_shape is not None:
        image_shape = check_sides("image_shape", image_shape)
    if background is not None:
        as_colour(background)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    notes = Notes(path)
    if path.is_dir():
        files = find_pictures(path, notes)
    elif path.suffix.lower() in ARRAYS:
        return _from_array(path, image_shape)
    elif path.suffix.lower() in SUFFIXES:
        files = [path]
    else:
        raise ValueError(
            f"{path}: expected a folder, {', '.join((*SUFFIXES, *ARRAYS[:1]))} or {ARRAYS[1]}; "
            f"got {path.suffix!r}"
        )
    shape = image_shape
    images = []
    for file in files:
        try:
            image = _read(file, shape, resize, background, notes)
        except PictureError as error:
            if unreadable is None:
                raise
            unreadable.add(file, error)
            continue
        shape = shape or image.shape
        images.append(image)
    if unreadable is not None:
        unreadable.check(len(files))
    notes.say()
    return np.stack(images)


# How results are written, by the end of their name: without loss but for JPEG.
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
}


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write one uint8 image ``(h, w, c)``, complete or not at all.

    Args:
        path: the file: PNG, JPEG (quality 95) or lossless WebP, by its suffix.
        image: uint8 ``(h, w, c)`` with c = 1 or 3.
    """
    from PIL import Image

    _check_images("image", image, 3)
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise ValueError(
            f"images are written as PNG, JPEG or WebP; got {path.name!r}, give a name in "
            f"{', '.join(WRITTEN)}"
        )
    kind, options = WRITTEN[path.suffix.lower()]
    content = io.BytesIO()
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.save(content, format=kind, **options)
    write_file(path, content.getvalue())


def image_grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Tile images ``(n, h, w, c)`` into one, row by row, with a grey gap between them."""
    _check_images("images", images, 4)
    check_integer("columns", columns, none=True)
    n, h, w, c = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    grid = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, c), 96, dtype="uint8")
    for index, image in enumerate(images):
        top = gap + (index // columns) * (h + gap)
        left = gap + (index % columns) * (w + gap)
        grid[top : top + h, left : left + w] = image
    return grid


def _check_images(name: str, images: np.ndarray, rank: int) -> None:
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) != rank or shape[-1] not in MODES or 0 in shape:
        sides = "(h, w, c)" if rank == 3 else "(n, h, w, c)"
        raise ValueError(f"{name} must have shape {sides} with c = 1 or 3; got {shape}")
    if images.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8; got dtype {images.dtype}. See flow.quantize")


def _read(
    file: Path, shape: tuple[int, ...] | None, resize: bool, background: Any, notes: Notes
) -> np.ndarray:
    channels = 3 if shape is None else shape[2]
    if channels not in MODES:
        raise ValueError(f"image_shape must have 1 or 3 channels to read images; got {shape}")
    image = read_pixels(file, channels, background, notes)
    return image if shape is None else fitted(image, shape[:2], resize, file, False, notes)


def _from_array(path: Path, shape: tuple[int, int, int] | None) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                if len(loaded.files) != 1:
                    raise ValueError(f"it holds {len(loaded.files)} arrays, expected one")
                loaded = loaded[loaded.files[0]]
    except Exception as error:  # a damaged archive has many kinds, a declared size MemoryError
        # NumPy's message for such files recommends to unpickle them, which is never done here.
        damaged = "pickle" in str(error) or not str(error)
        reason = "it is damaged or holds no plain numbers" if damaged else one_line(error)
        raise ValueError(f"can't read {path} as an array of images: {reason}") from error
    if loaded.ndim == 3:
        loaded = loaded[..., None]
    if loaded.dtype != np.uint8 or loaded.ndim != 4 or not len(loaded):
        raise ValueError(
            f"{path} must hold uint8 images of shape (n, h, w) or (n, h, w, c); got "
            f"{loaded.dtype} of shape {loaded.shape}"
        )
    if shape is not None and loaded.shape[1:] != tuple(shape):
        raise ValueError(f"{path} must hold images of shape {tuple(shape)}; got {loaded.shape[1:]}")
    return loaded
