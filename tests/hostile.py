"""What the tests of untrusted entries share."""

import hashlib
import json
import re
import time
from pathlib import Path

import pytest

from zoo.errors import ZooError

MEGABYTES = 200
SECONDS = 1.0
WEIGHTS = "model.weights.h5"


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_arguments(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", config={**config["config"], **changes})


def put_weights(folder, path):
    """Make a file the entry's weights, with a hash that fits."""
    content = path.read_bytes()
    (folder / WEIGHTS).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(folder / "metadata.json", sha256=digest, bytes=len(content))


def memory(key):
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) / 1e3


def refused(call, message, *arguments, **options):
    """The one line of a call that must fail soon and without much memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before, start = memory("VmRSS"), time.process_time()
    with pytest.raises(ZooError, match=message) as caught:
        call(*arguments, **options)
    seconds, taken = time.process_time() - start, memory("VmHWM") - before
    assert seconds < SECONDS, seconds
    assert taken < MEGABYTES, taken
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000
    return line
