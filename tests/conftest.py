"""Settings and fixtures of the whole suite."""

import gc
import json
import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # The processes share the cores; threads of small operations wait for one another.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if os.environ["KERAS_BACKEND"] == "jax":
    # Thousands of small programs are compiled here, which takes longer than running them.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import keras
import numpy as np
import pytest
from filelock import FileLock

import zoo
from attnflow_keras.data import mnist_sample
from attnflow_keras.models import MARFlow
from tests.helpers import perturb, run_eagerly

SLOW = Path(__file__).parent / "slow.txt"


# Of tests that run for every pretrained entry, "make test" takes these.
ENTRIES = {"attnflow-imap-mnist", "srflow-sr8-bluemarble", "fullglow-landcover-bluemarble"}


def pytest_collection_modifyitems(items):
    slow = set(SLOW.read_text().splitlines())
    others = set(zoo.list(pretrained=True)) - ENTRIES
    for item in items:
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if item.nodeid in slow or any(isinstance(v, str) and v in others for v in given):
            item.add_marker(pytest.mark.slow)

    if keras.backend.backend() == "jax":
        files = list(dict.fromkeys(item.path for item in items))
        items.sort(key=lambda item: (files.index(item.path), _row(item)))


def _row(item):
    """The row of a table, such as that of layers, that a test is about."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return str(given.get("name", ""))


def pytest_runtest_teardown(item, nextitem):
    if keras.backend.backend() != "jax" or nextitem is None or _row(item) == _row(nextitem):
        return
    import jax

    # Each compiled program takes a few of the memory maps that a process may have (65,530 by
    # default), and beyond them the compiler crashes. So all tests of a row come one after the
    # other, and its programs go with it.
    jax.clear_caches()


def pytest_collection_finish():
    # A trace makes many objects. To look for garbage among all of those of TensorFlow each time
    # takes a tenth of it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)


@pytest.fixture(autouse=True)
def _float64(request):
    """64-bit numbers, which JAX leaves out unless told otherwise, where a test needs them."""
    if keras.backend.backend() != "jax" or request.node.get_closest_marker("float64") is None:
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _reproducible():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _eagerly(request):
    """Operation by operation where a test is marked so: a trace of a small flow takes seconds."""
    marked = request.node.get_closest_marker
    run_eagerly(bool(marked("eager")) and not marked("compiled"))
    yield
    run_eagerly(False)


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


def make_plain_flow(**changes):
    """A flow that is traced in a fraction of that time, where a test is about something else."""
    return make_tiny_flow(**{"attention": None, "coupling": "affine", "levels": 1, **changes})


@pytest.fixture
def tiny_flow(tiny_images):
    """A tiny flow that has been adapted to the tiny images."""
    flow = make_tiny_flow()
    flow.adapt(tiny_images)
    return flow


@pytest.fixture
def plain_flow(tiny_images):
    """A plain flow that has been adapted to the tiny images."""
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    return flow


@pytest.fixture(scope="session")
def export_once(tmp_path_factory):
    """Exports a flow to a folder of this name, once for all processes of a run."""
    import export

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name, flow, **arguments):
        folder = root / "exports" / name
        folder.parent.mkdir(exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                eager = run_eagerly(False)
                export.onnx(flow, folder, **arguments)
                run_eagerly(eager)
        return folder

    return make


@pytest.fixture(scope="session")
def exported(export_once, tiny_images):
    """A flow, the folder of its ONNX export, and what was measured; not to be changed."""
    return exported_flow(export_once, tiny_images, "two-steps", steps=2)


@pytest.fixture(scope="session")
def export_of_one_step(export_once, tiny_images):
    """The same of one step a level: its round trip is more exact."""
    return exported_flow(export_once, tiny_images, "one-step")


def exported_flow(export_once, images, name, **changes):
    flow = flow_to_export(images, **changes)
    folder = export_once(name, flow, images=images)
    return flow, folder, json.loads((folder / "manifest.json").read_text())["parity"]


def flow_to_export(images, **changes):
    # The same in every process and every run: how a score rounds depends on the weights.
    keras.utils.set_random_seed(0)
    flow = make_tiny_flow(**changes)
    flow.adapt(images)
    return perturb(flow, 0.05)


@pytest.fixture(scope="session")
def small_export(export_once, tiny_images):
    """The folder of the export that is made fastest, of a flow named "tiny"; likewise."""
    flow = make_plain_flow(name="tiny")
    flow.adapt(tiny_images)
    return export_once("small", perturb(flow, 0.05), images=tiny_images)


@pytest.fixture(scope="session")
def make_pair(request, export_once, tiny_images):
    """Makes a flow and a session of its export, of a kind in ``tests.verb_pairs.KINDS``."""
    from tests.verb_pairs import make_pair, unconditional

    made = {"unconditional": unconditional(request, tiny_images[:16])}

    def make(kind):
        if kind not in made:
            made[kind] = make_pair(kind, export_once)
        return made[kind]

    return make


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
