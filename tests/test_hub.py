"""Publishing entries on the hub and loading them from it, against a stand-in for its API."""

import os
import subprocess
import sys

import numpy as np
import pytest

import zoo
from tests.conftest import make_tiny_flow
from tests.hub_server import TOKEN, running
from zoo import ZooError
from zoo.hub import FILES, Address


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    flow = make_tiny_flow()
    flow.adapt(rng.integers(0, 256, (16, *flow.image_shape), dtype="uint8"))
    return zoo.save(flow, tmp_path_factory.mktemp("entries") / "tiny", {"license": "Apache-2.0"})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The stand-in, which a process that starts now takes for the hub."""
    with running() as (hub, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield hub


def attnflow(*arguments, code=0):
    """The command in a process of its own: huggingface_hub reads its settings when imported."""
    done = subprocess.run(
        [sys.executable, "-m", "zoo.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_what_was_pushed_is_loaded(hub, folder, tmp_path):
    version = attnflow("push", folder, "hf://me/tiny", "--private").split()[-1]
    assert hub.private == {"me/tiny": True}
    ((oid, files),) = hub.repositories["me/tiny"]
    assert version == f"hf://me/tiny@{oid}"
    assert set(files) == {*FILES, "README.md"}
    assert files["README.md"] == (folder / "card.md").read_bytes()
    assert files["README.md"].startswith(b"---\n")
    assert files["model.weights.h5"] == (folder / "model.weights.h5").read_bytes()

    # The first time from the network, then the same commit from the cache alone.
    assert '"sha256"' in attnflow("info", version, "--json")
    hub.requests.clear()
    hub.down = True
    assert '"sha256"' in attnflow("info", version, "--json")
    assert hub.requests == []
    hub.down = False

    # A second version, and the first by its revision.
    attnflow("push", folder, "hf://me/tiny", "--message", "again")
    assert len(hub.repositories["me/tiny"]) == 2
    sha256 = zoo.info(str(folder))["sha256"]
    assert sha256 in attnflow("info", f"hf://me/tiny@sha256:{sha256[:12]}", "--json")
    wrong = attnflow("info", f"hf://me/tiny@sha256:{'0' * 12}", code=1)
    assert "has other weights than 000000000000" in wrong


def test_a_wrong_token_a_missing_repository_and_none(hub, folder, monkeypatch):
    assert "can't fetch hf://me/nothing" in attnflow("info", "hf://me/nothing", code=1)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    said = attnflow("push", folder, "hf://me/tiny", code=1)
    assert "can't push to hf://me/tiny" in said
    assert hub.repositories == {}
    monkeypatch.delenv("HF_TOKEN")
    said = attnflow("push", folder, "hf://me/tiny", code=1)
    assert "no token to write to hf://me/tiny: log in with 'hf auth login'" in said


def test_damaged_weights_are_not_pushed(hub, folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    content = bytearray((copy / "model.weights.h5").read_bytes())
    content[-1] ^= 1
    (copy / "model.weights.h5").write_bytes(content)
    with pytest.raises(ZooError, match="is damaged or altered"):
        zoo.push(copy, "hf://me/tiny", token=TOKEN)
    (copy / "model.weights.h5").unlink()
    with pytest.raises(ZooError, match="is missing"):
        zoo.push(copy, "hf://me/tiny", token=TOKEN)
    assert hub.requests == []


@pytest.mark.parametrize("text", ["hf://somebody", "hf://a/b/c", "http://a/b", "hf://a/b@", "a/b"])
def test_what_is_no_address(text):
    with pytest.raises(ZooError, match="expected hf://user/repository or"):
        Address.read(text)


def test_revisions():
    assert Address.read("hf://me/a-flow.2/") == ("me/a-flow.2", None)
    assert Address.read("hf://me/a-flow@v1.0") == ("me/a-flow", "v1.0")
    with pytest.raises(ZooError, match="address must have no revision"):
        zoo.push("marflow-mnist", "hf://me/tiny@main", token=TOKEN)
    with pytest.raises(ZooError, match="revision goes with an address"):
        zoo.load("marflow-mnist", revision="main")
    with pytest.raises(ZooError, match="revision goes with an address"):
        zoo.load("hf://me/tiny@main", revision="v2")


def test_a_pinned_entry():
    digits = zoo.info("marflow-mnist")["sha256"]
    assert zoo.info(f"marflow-mnist@sha256:{digits}")["name"] == "marflow-mnist"
    with pytest.raises(ZooError, match="has other weights than deadbeef: their sha256 is"):
        zoo.load("marflow-mnist@sha256:deadbeef")


@pytest.mark.parametrize("version", ["@v1", "@sha256:zz", "@sha256:0123"])
def test_a_version_of_an_entry_is_named_by_digits_of_its_hash(version):
    with pytest.raises(ZooError, match="marflow-mnist@sha256: and 8 to 64 hexadecimal digits"):
        zoo.info(f"marflow-mnist{version}")
