"""What is done about GPUs, without one."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from attnflow_keras.training.devices import prepare_devices


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs that TensorFlow seems to see; a dict of those whose memory grows."""
    seen = [SimpleNamespace(name=f"/physical_device:GPU:{i}") for i in range(2)]
    growing = {}

    def grow(gpu, enable):
        growing[gpu.name] = enable

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: seen[: gpus_.count])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA H100"}
    )
    gpus_ = SimpleNamespace(count=1, growing=growing)
    return gpus_


def test_without_a_gpu_nothing_is_changed(gpus):
    gpus.count = 0
    assert prepare_devices().endswith("CPU cores")
    assert not gpus.growing


def test_memory_grows_on_every_gpu(gpus):
    assert prepare_devices() == "GPU NVIDIA H100"
    gpus.count = 2
    assert prepare_devices() == "GPU NVIDIA H100, the first of 2"
    assert gpus.growing == {"/physical_device:GPU:0": True, "/physical_device:GPU:1": True}


def test_a_gpu_in_use_and_one_without_a_name(gpus, monkeypatch):
    def refuse(gpu, enable):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {})
    assert prepare_devices() == "GPU /physical_device:GPU:0"


def test_on_this_machine():
    assert prepare_devices()
