"""Settings and fixtures of the whole suite."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest

import zoo
from attnflow_keras.data import mnist_sample
from attnflow_keras.models import MARFlow
from tests.helpers import perturb


@pytest.fixture(autouse=True)
def _reproducible():
    keras.utils.set_random_seed(0)


def pytest_fixture_setup(fixturedef):
    # What tests share is the same whichever of them asks first, in whichever process.
    if fixturedef.scope != "function":
        keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """256 real MNIST test digits, uint8 (256, 28, 28, 1)."""
    return mnist_sample()


@pytest.fixture(scope="session")
def tiny_images(digits) -> np.ndarray:
    """Real digits cut down to (256, 8, 8, 1), so that whole-flow tests are quick."""
    return digits[:, 2:26:3, 2:26:3]


def make_tiny_flow(**changes):
    """A two-level flow over (8, 8, 1), with attention, small enough for eager tests."""
    arguments = {
        "image_shape": (8, 8, 1),
        "levels": 2,
        "steps": 1,
        "width": 8,
        "attention": "imap",
        "components": 2,
        "conditioner": "gated_conv",
        "prior": "gaussian",
        **changes,
    }
    return MARFlow(**arguments)


@pytest.fixture
def tiny_flow(tiny_images):
    """A tiny flow that has been adapted to the tiny images."""
    flow = make_tiny_flow()
    flow.adapt(tiny_images)
    return flow


@pytest.fixture(scope="session")
def exported(tmp_path_factory, tiny_images):
    """A flow, the folder of its ONNX export, and what was measured; not to be changed."""
    import export

    flow = make_tiny_flow(steps=2)
    flow.adapt(tiny_images)
    perturb(flow, 0.05)
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    return flow, folder, export.onnx(flow, folder, images=tiny_images)


@pytest.fixture(scope="session")
def small_export(tmp_path_factory, tiny_images):
    """The folder of the export that is made fastest, of a flow named "tiny"; likewise."""
    import export

    flow = make_tiny_flow(attention=None, coupling="affine", levels=1, name="tiny")
    flow.adapt(tiny_images)
    perturb(flow, 0.05)
    folder = tmp_path_factory.mktemp("small") / "onnx"
    export.onnx(flow, folder, images=tiny_images)
    return folder


@pytest.fixture(scope="session")
def sound_files(tmp_path_factory):
    """Files of a sound entry, name -> content; loaded once, so that all is imported."""
    folder = tmp_path_factory.mktemp("sound") / "entry"
    zoo.save(make_tiny_flow(), folder, {"task": "unconditional"})
    zoo.load(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def stranger(sound_files, tmp_path):
    """A sound entry, to be made a hostile one."""
    folder = tmp_path / "entry"
    folder.mkdir()
    for name, content in sound_files.items():
        (folder / name).write_bytes(content)
    return folder
