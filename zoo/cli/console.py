"""What the commands print: results to standard output, progress to standard error."""

import codecs
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# Columns where there is no terminal: what goes to a file or another program is not wrapped.
UNWRAPPED = 100_000

# Signs that a terminal may lack, in its letters.
ASCII = {
    "±": "+/-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{HORIZONTAL ELLIPSIS}": "...",
}
ERRORS = "attnflow.ascii"

# Seconds before the first line of progress where there is no terminal, and between two.
FIRST_LINE = 2.0
NEXT_LINE = 10.0


class PlainConsole(Console):
    """A console that wraps on terminals only, and knows what its stream can encode."""

    @property
    def size(self) -> ConsoleDimensions:
        return super().size if self.is_terminal else ConsoleDimensions(UNWRAPPED, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        Console.size.fset(self, new_size)  # type: ignore[attr-defined]

    @property
    def encoding(self) -> str:
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        """As Rich's; signs are replaced before tables are laid out."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            text = text.encode(self.encoding, ERRORS).decode(self.encoding)
        return super().render_str(text, **options)

    def print_table(self, table: Any) -> None:
        """Print a table; lines that go to a file or another program end where their text does."""
        if self.is_terminal:
            self.print(table)
            return
        with self.capture() as captured:
            self.print(table)
        for line in captured.get().splitlines():
            self.print(Text(line.rstrip()))


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_letters(sign) for sign in signs), error.end


def _letters(sign: str) -> str:
    byte = ord(sign) - 0xDC00
    if 0x80 <= byte <= 0xFF:  # of a file's name that is no UTF-8
        return f"\\x{byte:02x}"
    return ASCII.get(sign, "?")


codecs.register_error(ERRORS, _in_ascii)

# Without markup: paths and install hints hold square brackets that Rich would take for it.
console = PlainConsole(markup=False, highlight=False)
notes = PlainConsole(markup=False, highlight=False, stderr=True)


@contextmanager
def prepared_streams() -> Iterator[None]:
    """Streams of the command line, in this block.

    Standard output and error replace signs that their encoding lacks, instead of failing. Progress
    has a standard error of its own, which is seen while that of the process is set aside.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # none, or one that is no file
        yield
        return
    with os.fdopen(own, "w", 1, encoding=sys.stderr.encoding, errors=ERRORS) as file:
        notes.file = file
        try:
            yield
        finally:
            notes.file = None  # type: ignore[assignment]


@contextmanager
def results_as_json(wanted: bool) -> Iterator[None]:
    """Leave standard output to :func:`print_json`: what else is printed goes to standard error."""
    if wanted:
        console.file = notes.file
    try:
        yield
    finally:
        if wanted:
            console.file = None  # type: ignore[assignment]


def print_json(content: Any) -> None:
    """Print figures for other programs, as JSON."""
    print(json.dumps(content, indent=2))


class Report:
    """Where work stands: called with the number of items done, and their total where it changes."""

    def __init__(self, text: str, total: float | None) -> None:
        self.text = text
        self.done = 0.0
        self.total = total
        self.started = time.monotonic()

    def __call__(self, done: float, total: float | None = None) -> None:
        self.done = done
        self.total = self.total if total is None else total

    def update(self, text: str) -> None:
        """Set the text of the current step."""
        self.text = text

    @property
    def line(self) -> str:
        """All of it in one line of text."""
        count = "" if self.total is None else f"{int(self.done):,} of {int(self.total):,}, "
        return f"{self.text}: {count}{time.monotonic() - self.started:.0f} s"


@contextmanager
def working(text: str, total: float | None = None) -> Iterator[Report]:
    """Show on standard error that work goes on, with a running clock.

    On a terminal a line that goes away at the end, with a bar if there is a ``total``; elsewhere
    plain lines every few seconds, none for what takes less.
    """
    report = Report(text, total)
    show = _bar if notes.is_terminal else _lines
    with show(report):
        yield report


class _Clock(ProgressColumn):
    def render(self, task: Any) -> Text:
        return Text(f"{task.elapsed or 0:.0f} s", "dim")


@contextmanager
def _bar(report: Report) -> Iterator[None]:
    counted = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    columns = counted if report.total is not None else (_Clock(),)
    parts = (SpinnerColumn("line"), TextColumn("{task.description}"), *columns)

    class Shown(Progress):
        def get_renderables(self) -> Any:
            for task in self.tasks:
                self.update(
                    task.id,
                    description=report.text,
                    completed=report.done,
                    total=report.total,
                )
            return super().get_renderables()

    with Shown(*parts, console=notes, transient=True) as shown:
        shown.add_task(report.text, total=report.total)
        yield


@contextmanager
def _lines(report: Report) -> Iterator[None]:
    over = threading.Event()

    def tell() -> None:
        wait = FIRST_LINE
        while not over.wait(wait):
            print(report.line, file=notes.file, flush=True)
            wait = NEXT_LINE

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
