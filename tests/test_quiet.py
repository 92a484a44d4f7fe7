"""Nothing is written that the user did not ask for, and the advice in errors works."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from attnflow_keras.core.extras import install_command
from attnflow_keras.training.callbacks import COLUMNS, VALUES, read_curve

ROOT = Path(__file__).parent.parent

ORDINARY = """
import numpy as np
import attnflow_keras.models
from attnflow_keras.flow.compiled import CompiledMethods
from tests.conftest import make_plain_flow

flow = make_plain_flow()
distribution = flow.as_distribution()
distribution.log_prob(distribution.sample(2))
copy = distribution.copy()
assert copy.batch_shape == () and copy.event_shape == (8, 8, 1)

def of_one_model():
    return lambda x: 2 * x


for side in range(1, 9):
    for jit in (False, True):
        methods = CompiledMethods()
        methods.jit = jit
        doubled = methods.run("double", of_one_model(), (np.ones((3, side), "float32"),), 2)
        assert doubled.shape == (3, side) and (np.asarray(doubled) == 2).all()
"""


def test_import_distribution_and_many_sizes_write_nothing():
    done = subprocess.run([sys.executable, "-c", ORDINARY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == ""


WRONG_BATCHES = """
import attnflow_keras.models
import keras
import numpy as np
from tests.conftest import make_plain_flow
from tests.test_batches import SOURCES

flow = make_plain_flow()
images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), "uint8")
flow.adapt(images)
flow.compile(keras.optimizers.SGD(1e-4))
good = [(flow.dequantize(images[i : i + 8]),) for i in (0, 8, 16)]
batches = [*good, ((images[:8] / 255).astype("float32"),)]
for make in SOURCES.values():
    for method in (flow.fit, flow.evaluate, flow.predict):
        try:
            method(make(batches), verbose=0)
        except ValueError as error:
            print(error)
"""


def test_a_wrong_batch_is_an_error_and_nothing_on_standard_error():
    # Keras' own word on a data set that ends early, in predict.
    ended = "ignore:Your input ran out of data:UserWarning"
    command = [sys.executable, "-W", ended, "-c", WRONG_BATCHES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert len(set(lines)) == 1
    assert "float images must lie in" in lines[0]
    assert done.stderr == ""


def test_a_failing_import_of_tensorflow_is_seen():
    code = (
        "import os, sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'tensorflow':\n"
        "            os.write(2, b'from C')\n"
        "            raise ValueError('broken')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "import attnflow_keras._quiet_import\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "from C" in done.stderr
    assert "ValueError: broken" in done.stderr


def test_advice_names_the_packages_of_an_extra(monkeypatch):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, packages in project["optional-dependencies"].items():
        command = install_command(extra)
        assert command.startswith("pip install ")
        for package in packages:
            assert f"'{package.partition('>=')[0]}" in command
        assert project["name"] not in command

    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.requires", unknown)
    assert install_command("tf").startswith("pip install '.[tf]' in a clone of")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2,x,3,4,5,6,7", "step must be a number; got 'x'"),
        ("2,1,3", "as many cells as there are titles"),
        ("2,1,3,4,5,6,7,8", "as many cells as there are titles"),
        ("nan,1,3,4,5,6,7", "epoch must be a number; got 'nan'"),
        ("\xff\x00", "line 3"),
    ],
)
def test_a_damaged_curve_is_named_with_its_line(tmp_path, row, reason):
    path = tmp_path / "curve.csv"
    path.write_bytes(f"{','.join((*COLUMNS, *VALUES))}\n1,1,1,1,1,1,1\n{row}\n".encode("latin-1"))
    with pytest.raises(ValueError, match=reason) as caught:
        read_curve(path)
    assert str(path) in str(caught.value)
    assert "line 3" in str(caught.value)


def test_a_curve_without_titles_is_damaged(tmp_path):
    (tmp_path / "curve.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"curve.csv is damaged at line 2: no column epoch"):
        read_curve(tmp_path / "curve.csv")


def test_import_and_list_are_quick_and_without_tensorflow():
    code = (
        "import time; t = time.process_time()\n"
        "import zoo, export, attnflow_keras, sys\n"
        "names = zoo.list('*mnist*'); zoo.info(names[0])\n"
        "print(time.process_time() - t)\n"
        "assert not {'tensorflow', 'keras', 'tensorflow_probability'} & set(sys.modules)\n"
    )
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.3
