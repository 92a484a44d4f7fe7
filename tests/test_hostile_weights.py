"""Untrusted weights files: refused before anything of their size is read or built."""

import contextlib
import random
import zlib

import h5py
import numpy as np
import pytest

import zoo
from tests.hostile import WEIGHTS, put_weights, refused
from zoo.errors import ZooError
from zoo.weights_file import declared_shapes


def h5(path, write):
    with h5py.File(path, "w") as file:
        write(file)
    return path


def declare(file):
    file.create_dataset("x", (10**9,), "float32")


def declare_chunked(file):
    file.create_dataset("x", (10**5, 10**4), "float32", compression="gzip")


def gzip_bomb(file):
    file.create_dataset("x", data=np.zeros(5_000_000, "float32"), compression="gzip")


def chunk_bomb(file):
    x = file.create_dataset("x", (1 << 16,), "float32", chunks=(1 << 16,), compression="gzip")
    x.id.write_direct_chunk((0,), zlib.compress(bytes(100_000_000)))


def large_chunk(file):
    file.create_dataset("x", (8,), "float32", maxshape=(None,), chunks=(250_000_000,))


def soft_link(file):
    file["x"] = h5py.SoftLink("/y")


def external_link(file):
    file["x"] = h5py.ExternalLink("/etc/passwd", "/")


def external_storage(file):
    file.create_dataset("x", (8,), "uint8", external=[("/etc/passwd", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((8,), "float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (8,))
    file.create_virtual_dataset("x", layout)


def texts(file):
    file["x"] = ["some", "texts"]


def cycle(file):
    for i in range(20):
        file.create_group(f"g{i}")["up"] = file["/"]


def other_filter(file):
    file.create_dataset("x", (8,), "float32", chunks=(8,), compression="lzf")


def other_shape(file):
    for i in range(500):
        file.create_dataset(f"x{i}", data=np.zeros(17, "float32"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (declare, "declares more than 1,000,000,000 numbers"),
        (declare_chunked, "declares more than 1,000,000,000 numbers"),
        (gzip_bomb, "declares more than 5,000,000 numbers"),
        (chunk_bomb, "inflates to more than it declares"),
        (large_chunk, "chunks larger than itself"),
        (soft_link, "is a link"),
        (external_link, "is a link"),
        (external_storage, "lies in another file"),
        (virtual, "lies in another file"),
        (texts, "no array of numbers"),
        (cycle, "objects, or cycles"),
        (other_filter, "compressed by something else"),
        (other_shape, "holds an array of shape"),
    ],
)
def test_weights_files_that_are_not_what_they_seem(stranger, tmp_path, write, message):
    path = h5(tmp_path / "x.h5", write)
    if write not in (other_shape,):
        # Among the true ones.
        path.write_bytes((stranger / WEIGHTS).read_bytes())
        with h5py.File(path, "r+") as file:
            write(file)
    put_weights(stranger, path)
    refused(zoo.load, f"{WEIGHTS} does not fit its config.json: .*{message}", stranger)


def test_weights_that_are_not_finite(stranger, tmp_path):
    path = tmp_path / "x.h5"
    for value in (np.nan, np.inf):
        path.write_bytes((stranger / WEIGHTS).read_bytes())
        with h5py.File(path, "r+") as file:
            found = []
            file.visititems(lambda _, x, f=found: f.append(x) if hasattr(x, "shape") else None)
            one = max(found, key=lambda x: x.size)
            data = one[()]
            data.flat[3] = value
            one[...] = data
        put_weights(stranger, path)
        refused(zoo.load, "its weight .* holds NaN or Inf", stranger)


def test_random_damage(stranger, sound_files, tmp_path):
    rng = random.Random(0)
    weights = bytearray(sound_files[WEIGHTS])
    for _ in range(25):
        for _ in range(10):
            weights[rng.randrange(rng.choice((2000, len(weights))))] = rng.randrange(256)
        (tmp_path / "x.h5").write_bytes(weights)
        put_weights(stranger, tmp_path / "x.h5")
        with contextlib.suppress(ZooError):
            zoo.load(stranger)


def test_an_array_in_thousands_of_pieces(tmp_path):
    def write(file):
        x = np.zeros(20_000, "float32")
        file.create_dataset("x", data=x, chunks=(1,), compression="gzip", shuffle=True)

    with pytest.raises(ValueError, match="is cut into 20,000 pieces; 5,000 are allowed"):
        declared_shapes(h5(tmp_path / "x.h5", write))
