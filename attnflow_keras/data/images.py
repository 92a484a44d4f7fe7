"""The user's own images: a folder of PNG or JPEG, one picture, or a .npy or .npz file."""

from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg")
MODES = {1: "L", 3: "RGB"}


def load_images(
    path: str | Path, image_shape: tuple[int, int, int] | None = None, resize: bool = False
) -> np.ndarray:
    """Read images as uint8 ``(n, h, w, c)``.

    Args:
        path: a folder with PNG or JPEG files (subfolders included, in order of their paths),
            one such file, or a .npy or .npz file with one array of shape ``(n, h, w)`` or
            ``(n, h, w, c)`` and dtype uint8.
        image_shape: ``(h, w, c)`` that every image must have; pictures are converted to grey
            (c = 1) or RGB (c = 3). None takes the first picture's size and RGB.
        resize: resize pictures of another size (bicubic) instead of raising.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: an empty folder, an unreadable file, a wrong size, dtype or shape.
    """
    if image_shape is not None:
        image_shape = _check_shape(image_shape)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    if path.suffix in (".npy", ".npz"):
        return _from_array(path, image_shape)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not files:
            raise ValueError(f"folder {path} holds no image ({', '.join(SUFFIXES)})")
    elif path.suffix.lower() in SUFFIXES:
        files = [path]
    else:
        raise ValueError(
            f"{path}: expected a folder, {', '.join(SUFFIXES)}, .npy or .npz; got {path.suffix!r}"
        )
    images = [_read(files[0], image_shape, resize)]
    shape = image_shape or images[0].shape
    images += [_read(file, shape, resize) for file in files[1:]]
    return np.stack(images)


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write one uint8 image ``(h, w, c)`` as PNG, complete or not at all."""
    from PIL import Image

    _check_images("image", image, 3)
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"pictures are written as PNG; got {path.name!r}, give a name in .png")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(temporary, format="PNG")
    temporary.replace(path)


def image_grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Tile images ``(n, h, w, c)`` into one, row by row, with a grey gap between them."""
    _check_images("images", images, 4)
    if columns is not None and (not isinstance(columns, int) or columns < 1):
        raise ValueError(f"columns must be an integer of at least 1, or None; got {columns!r}")
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


def _check_shape(shape: Any) -> tuple[int, int, int]:
    sides = tuple(shape) if isinstance(shape, list | tuple) else ()
    if len(sides) != 3 or not all(isinstance(s, int | np.integer) and s > 0 for s in sides):
        raise ValueError(f"image_shape must be (height, width, channels); got {shape!r}")
    return sides[0], sides[1], sides[2]


def _read(file: Path, shape: tuple[int, ...] | None, resize: bool) -> np.ndarray:
    from PIL import Image, ImageOps

    mode = "RGB" if shape is None else MODES.get(shape[2])
    if mode is None:
        raise ValueError(f"image_shape must have 1 or 3 channels to read pictures; got {shape}")
    try:
        with Image.open(file) as opened:
            if opened.mode.startswith(("I", "F")):
                raise ValueError(f"{file} has more than 8 bits a channel; convert it to 8 bits")
            picture = ImageOps.exif_transpose(opened).convert(mode)
        if shape is not None and picture.size != (shape[1], shape[0]) and resize:
            picture = picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
        image = np.asarray(picture)
    except OSError as error:
        raise ValueError(f"can't read {file} as an image: {error}") from error
    image = image[..., None] if image.ndim == 2 else image
    if shape is not None and image.shape != tuple(shape):
        raise ValueError(
            f"{file} is {image.shape[0]}x{image.shape[1]}, expected {shape[0]}x{shape[1]}; "
            "resize the pictures, or ask for resizing (resize=True, --resize)"
        )
    return image


def _from_array(path: Path, shape: tuple[int, int, int] | None) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                if len(loaded.files) != 1:
                    raise ValueError(f"it holds {len(loaded.files)} arrays, expected one")
                loaded = loaded[loaded.files[0]]
    except (OSError, ValueError, EOFError) as error:
        # NumPy's message for such files recommends to unpickle them, which is never done here.
        reason = "it is damaged or holds no plain numbers" if "pickle" in str(error) else error
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
