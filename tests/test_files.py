"""Files and folders are whole or not there, whatever stands at their place or cuts them short."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from attnflow_keras.core.files import (
    NEW,
    OLD,
    PART,
    check_free,
    open_regular,
    replacing_folder,
    restore_folder,
    sha256,
    write_file,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make_folder(folder, text, overwrite=False):
    with replacing_folder(folder, overwrite) as part:
        (part / "a").write_text(text)
        (part / "b").write_text(text)


def whole(folder):
    texts = {(folder / name).read_text() for name in ("a", "b")}
    assert len(texts) == 1
    return texts.pop()


def test_a_file_is_replaced_with_its_permissions(tmp_path):
    path = tmp_path / "deep" / "file"
    write_file(path, "one")
    path.chmod(0o640)
    write_file(path, b"two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(path.parent) == ["file"]
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_file(path.parent, "three")


def test_links_are_followed(tmp_path):
    there, later = tmp_path / "there", tmp_path / "later"
    there.write_text("old")
    for target in (there, later):
        link = tmp_path / "link"
        link.symlink_to(target)
        write_file(link, "new")
        assert link.is_symlink()
        assert target.read_text() == "new"
        link.unlink()
    (tmp_path / "entry").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "entry")
    make_folder(tmp_path / "link", "x", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert whole(tmp_path / "entry") == "x"


def test_special_files_are_written_into(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write_file(fifo, b"x" * 200_000)
    reader.join(10)
    assert read == [b"x" * 200_000]
    assert fifo.is_fifo()
    write_file("/dev/null", "gone")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_file("/dev/full", "never")
    for device in ("/dev/null", "/dev/full"):
        assert os.path.exists(device)
        assert not os.path.isfile(device)
    done = subprocess.run(
        [sys.executable, "-c", "from attnflow_keras.core.files import write_file as w\n"
         "w('/dev/stdout', 'to a pipe')"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "to a pipe"


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", "/dev/zero", tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path)
    with pytest.raises(OSError, match="not a regular file"):
        sha256(tmp_path / "fifo")


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_file(path, "old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError, match="too large: '.*file'"):
            write_file(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_in_a_folder_names_it(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    said = pytest.raises(OSError, match="No space left on device: '.*folder'")
    with said, replacing_folder(tmp_path / "folder"):
        raise full
    assert names(tmp_path) == []


def test_the_current_folder_and_those_above_it_are_not_replaced(tmp_path, monkeypatch):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "mine").write_text("kept")
    (tmp_path / "link").symlink_to(inner)
    monkeypatch.chdir(inner)
    refused = partial(pytest.raises, FileExistsError, match="is the current folder or above it")
    for folder in (".", "..", str(inner), str(tmp_path / "link"), "/"):
        with refused():
            check_free(Path(folder), True)
        with refused(), replacing_folder(folder, overwrite=True):
            raise AssertionError
        with pytest.raises(FileExistsError, match="exists; pass overwrite=True"):
            check_free(Path(folder), False)
    assert (inner / "mine").read_text() == "kept"


KILLED = """
import os, signal, sys
from pathlib import Path
import attnflow_keras.core.files as files
folder, last = Path(sys.argv[1]), int(sys.argv[2])
calls = 0
def counted(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
for name in ("rename", "replace", "rmdir", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
with files.replacing_folder(folder, overwrite=True) as part:
    for name in "ab":
        (part / name).write_text("new")
"""


def test_a_kill_between_any_two_steps_of_an_overwrite(tmp_path):
    """Each renaming and removal in turn is the one that never happens."""
    seen = set()
    for last in range(20):
        folder = tmp_path / str(last) / "entry"
        make_folder(folder, "old")
        command = [sys.executable, "-c", KILLED, str(folder), str(last)]
        killed = subprocess.run(command).returncode == -signal.SIGKILL
        seen.add(folder.exists())
        restore_folder(folder)
        assert whole(folder) in (("old", "new") if killed else ("new",))
        make_folder(folder, "newer", overwrite=True)
        assert whole(folder) == "newer"
        assert names(folder.parent) == ["entry"]
        if not killed:
            break
    assert not killed
    assert seen == {True, False}


def test_a_reader_may_restore_while_a_writer_swaps(tmp_path, monkeypatch):
    folder = tmp_path / "entry"
    make_folder(folder, "old")
    rename = os.rename

    def restored_at_once(source, target):
        rename(source, target)
        if str(target).endswith(OLD):
            restore_folder(folder)

    monkeypatch.setattr(os, "rename", restored_at_once)
    make_folder(folder, "new", overwrite=True)
    assert whole(folder) == "new"
    assert names(tmp_path) == ["entry"]


def test_a_swap_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    folder = tmp_path / "entry"
    make_folder(folder, "old")
    rename = os.rename

    def failing(source, target):
        if str(source).endswith(NEW):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="no"):
        make_folder(folder, "new", overwrite=True)
    assert whole(folder) == "old"
    assert names(tmp_path) == ["entry"]


def test_two_writers_of_one_target(tmp_path):
    with (
        replacing_folder(tmp_path / "entry"),
        pytest.raises(OSError, match="entry is being written by another process"),
    ):
        make_folder(tmp_path / "entry", "x")
    assert names(tmp_path / "entry") == []
    # Without a living writer a temporary is a left-over.
    (tmp_path / f".file.{PART}").write_text("rest")
    (tmp_path / f".other.{PART}").mkdir()
    (tmp_path / f".other.{PART}" / "rest").write_text("rest")
    write_file(tmp_path / "file", "x")
    make_folder(tmp_path / "other", "x")
    assert names(tmp_path) == ["entry", "file", "other"]
    assert names(tmp_path / "other") == ["a", "b"]


def test_check_out_of_links_and_special_files(tmp_path):
    from zoo.cli.common import check_out

    check_out(Path("/dev/full"))
    check_out(Path("/dev/stdout"))
    os.mkfifo(tmp_path / "fifo")
    check_out(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    check_out(tmp_path / "link")
    (tmp_path / "link2").symlink_to(tmp_path)
    with pytest.raises(IsADirectoryError, match="--out must be a file"):
        check_out(tmp_path / "link2")


def test_pictures_go_where_links_lead(tmp_path):
    from attnflow_keras.data import save_image

    (tmp_path / "link.png").symlink_to(tmp_path / "there.png")
    save_image(tmp_path / "link.png", np.zeros((4, 4, 1), "uint8"))
    assert (tmp_path / "there.png").read_bytes().startswith(b"\x89PNG")
    assert names(tmp_path) == ["link.png", "there.png"]


def test_an_open_descriptor_keeps_what_it_has(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    with log.open("a") as file:
        write_file(f"/dev/fd/{file.fileno()}", "after\n")
    assert log.read_text() == "before\nafter\n"
