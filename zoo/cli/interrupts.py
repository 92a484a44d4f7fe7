"""Answer Ctrl-C within seconds, with a message about what is kept.

Python hands an interrupt to the main thread only when that runs Python code again, which it does
not for the minutes that a compiler may take. So another thread waits for the signal too, and ends
the process if the main thread has not.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zoo.cli.console import notes

# Seconds that the main thread has, to leave by itself.
GRACE = 2.0
STATUS = 130

_words: list[Callable[[], str]] = []
_said = threading.Event()
_patient = threading.Event()


@contextmanager
def on_interrupt(words: Callable[[], str]) -> Iterator[None]:
    """Say what is kept when the user interrupts this block.

    Args:
        words: gives the end of a sentence that starts with "interrupted; ". It may be called
            from another thread, while the block stands still.
    """
    _words.append(words)
    _said.clear()
    try:
        yield
    except KeyboardInterrupt:
        say()
        raise
    finally:
        _words.remove(words)


@contextmanager
def patient() -> Iterator[None]:
    """Let the main thread take its time after Ctrl-C in this block, which answers it by itself."""
    _patient.set()
    try:
        yield
    finally:
        _patient.clear()


def say() -> None:
    """Print what is kept, once."""
    if _said.is_set():
        return
    _said.set()
    try:
        words = _words[-1]() if _words else "no file is left half-written"
    except Exception:
        words = "what is kept could not be read"
    print(f"\ninterrupted; {words}", file=notes.file, flush=True)


@contextmanager
def watched() -> Iterator[None]:
    """Answer Ctrl-C in this block even where the main thread can't. For the main thread."""
    near, far = socket.socketpair()
    far.setblocking(False)
    before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    over = threading.Event()
    threading.Thread(target=_wait, args=(near, over), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        far.close()


def _wait(near: socket.socket, over: threading.Event) -> None:
    with near:
        while received := near.recv(1):
            if received[0] != signal.SIGINT or _patient.is_set():
                continue
            if not over.wait(GRACE):
                say()
                notes.show_cursor(True)
                # Nothing is half-written under its name: files are written beside and renamed.
                os._exit(STATUS)
