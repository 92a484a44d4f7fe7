"""Import TensorFlow without the lines that its C++ part writes to the terminal.

Importing this module does it; the packages that use Keras do so before anything else.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# The lines of TensorFlow about the machine, which are no errors: of CUDA libraries that are not
# there, of instructions that another build would use.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")


def _import_tensorflow() -> None:
    """Import TensorFlow and TensorFlow Probability.

    Their C++ part writes to the process's standard error before it can be told not to, so that is
    set aside meanwhile, and shown if the import fails. Devices are listed too, which is when CUDA
    says that there is none; none of them is initialized. Does nothing where TensorFlow has been
    imported, is not installed, or is not Keras' backend: the import that needs it says so.
    """
    if "tensorflow" in sys.modules or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return
    with contextlib.suppress(ImportError), stderr_set_aside():
        import tensorflow as tf
        import tensorflow_probability  # noqa: F401

        tf.config.list_physical_devices("GPU")


@contextlib.contextmanager
def stderr_set_aside() -> Iterator[None]:
    """Keep what the process writes to standard error, C code included; show it on an exception."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error: a service, a window
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        failed = False
        try:
            yield
        except Exception:
            failed = True
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                aside.seek(0)
                with contextlib.suppress(OSError):
                    os.write(2, aside.read())


_import_tensorflow()
