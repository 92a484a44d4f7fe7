"""Assemble the command line: one file per command."""

import os
import sys
import warnings

# Keras and TensorFlow read these when they are imported, which the commands do later.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from typing import Annotated

import typer
from rich.text import Text

from attnflow_keras import __version__
from attnflow_keras.core.untrusted import printable
from attnflow_keras.runtime.errors import ExportError
from zoo.cli import (
    compress,
    demo,
    detect,
    doctor,
    env,
    evaluate,
    export,
    listing,
    prepare,
    push,
    reproduce,
    restore,
    sample,
    score,
    serve,
    train,
    translate,
    web,
)
from zoo.cli.console import notes, prepared_streams
from zoo.cli.interrupts import STATUS, say, watched

app = typer.Typer(
    name="attnflow",
    help=(
        "Normalizing flows with invertible attention.\n\n"
        "Start with 'attnflow list', then 'attnflow info NAME', "
        "'attnflow sample NAME -o samples.png', 'attnflow score NAME my-images/'. "
        "NAME is an entry's name, a folder written by zoo.save, or hf://user/repository."
    ),
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.command("list")(listing.list_command)
app.command("info")(listing.info_command)
app.command("sample")(sample.sample_command)
app.command("score")(score.score_command)
app.command("restore")(restore.restore_command)
app.command("translate")(translate.translate_command)
app.command("detect")(detect.detect_command)
app.command("compress")(compress.compress_command)
app.command("decompress")(compress.decompress_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("train")(train.train_command)
app.command("reproduce")(reproduce.reproduce_command)
app.command("prepare-celeba")(prepare.prepare_celeba_command)
app.command("prepare-cityscapes")(prepare.prepare_cityscapes_command)
app.command("doctor")(doctor.doctor_command)
app.command("export")(export.export_command)
app.command("verify")(export.verify_command)
app.command("bench")(export.bench_command)
app.command("serve")(serve.serve_command)
app.command("web")(web.web_command)
app.command("push")(push.push_command)
app.command("env")(env.env_command)
app.command("demo")(demo.demo_command)


def main() -> None:
    """Run the command line; an expected error is one line and exit status 1."""
    with prepared_streams():
        _main()


def _main() -> None:
    # Warnings are for the user here: without the line of code that they come from.
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        with watched():
            app()
    except (ValueError, OSError, ImportError, FloatingPointError, ExportError) as error:
        if os.environ.get("ATTNFLOW_TRACEBACK"):
            raise
        # A message may quote a file.
        line = Text.assemble(("error:", "red"), f" {printable(str(error))}")
        notes.print(line, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        say()
        sys.exit(STATUS)
    except SystemExit as stop:
        if stop.code == STATUS:  # Typer's answer to an interrupt
            say()
        raise
