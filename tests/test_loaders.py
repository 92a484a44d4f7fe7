"""Loaders of other libraries as data sets, by stand-ins that have what is used of them."""

import keras
import numpy as np
import pytest

from attnflow_keras.flow import loaders
from tests.conftest import make_plain_flow

WITHIN = r"images: float images must lie in \[-0.5, 0.5\]; got values from 0 to 1"


class Tensor:
    """What a tensor of PyTorch has, its device and its own dtypes."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape
        self.dtype = f"torch.{values.dtype}"

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __getitem__(self, rows):
        return Tensor(self.values[rows])

    def __len__(self):
        return len(self.values)


class DataLoader:
    """As PyTorch's: read anew by each ``iter``, batches are lists, its length may be known."""

    def __init__(self, batches):
        self.batches = batches
        self.read = 0

    def __iter__(self):
        self.read += 1
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


class IterDataset:
    """As Grain's: without a length."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


Tensor.__module__ = "torch"
DataLoader.__module__ = "torch.utils.data.dataloader"
IterDataset.__module__ = "grain._src.python.dataset.dataset"


@pytest.fixture(scope="module")
def flow(tiny_images):
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    flow.compile(keras.optimizers.SGD(1e-4))
    return flow


def torch_batches(images, count):
    """Batches ``[image, label]`` of eight."""
    labels = np.zeros(8, "int64")
    return [[Tensor(images[8 * i : 8 * i + 8]), Tensor(labels)] for i in range(count)]


def test_what_is_a_loader(tiny_images):
    assert loaders.is_loader(DataLoader([]))
    assert loaders.is_loader(IterDataset([]))
    for other in (tiny_images, Tensor(tiny_images), [tiny_images], (x for x in tiny_images), None):
        assert not loaders.is_loader(other)


def test_loaders_are_read_as_arrays_are(flow, tiny_images):
    floats = flow.dequantize(tiny_images[:24])
    expected = flow.predict(floats, verbose=0)
    for source in (
        DataLoader(torch_batches(floats, 3)),
        DataLoader([batch[0] for batch in torch_batches(floats, 3)]),
        IterDataset([(floats[i : i + 8],) for i in (0, 8, 16)]),
        IterDataset([{"image": floats[i : i + 8]} for i in (0, 8, 16)]),
    ):
        np.testing.assert_allclose(flow.predict(source, verbose=0), expected, rtol=1e-5)
        assert np.isfinite(flow.evaluate(source, verbose=0)).all()


def test_fit_adapts_to_and_reads_a_loader_in_each_epoch(tiny_images):
    flow = make_plain_flow()
    flow.compile(keras.optimizers.SGD(1e-4))
    source = DataLoader(torch_batches(tiny_images, 3))
    history = flow.fit(source, epochs=2, verbose=0, validation_data=source)
    assert flow.is_adapted
    assert int(flow.optimizer.iterations) == 6
    assert np.isfinite(history.history["val_loss"]).all()
    assert source.read >= 4


@pytest.mark.parametrize("kind", [DataLoader, IterDataset])
def test_a_wrong_batch_of_a_loader(flow, tiny_images, kind):
    good = torch_batches(flow.dequantize(tiny_images), 2)
    wrong = torch_batches((tiny_images / 255).astype("float32"), 1)
    for batches in (good + wrong, wrong + good):
        for method in (flow.fit, flow.evaluate, flow.predict):
            with pytest.raises(ValueError, match=WITHIN):
                method(kind(batches), verbose=0)
    with pytest.raises(ValueError, match="got float32 first, uint8 later"):
        flow.fit(kind(good + torch_batches(tiny_images, 1)), verbose=0)
    channels_first = [Tensor(tiny_images.transpose(0, 3, 1, 2)[:8])]
    with pytest.raises(ValueError, match=r"shape \(n, 8, 8, 1\); got \(8, 1, 8, 8\)"):
        flow.fit(kind([channels_first]), verbose=0)
    with pytest.raises(ValueError, match="x is an empty data loader"):
        flow.fit(kind([]), verbose=0)


def test_tensors_of_other_libraries_are_checked_as_arrays_are(flow, tiny_images):
    images, wrong = Tensor(tiny_images[:16]), Tensor((tiny_images[:16] / 255).astype("float32"))
    expected = flow.predict(tiny_images[:16], verbose=0)
    np.testing.assert_allclose(flow.predict(images, verbose=0), expected, rtol=1e-6)
    assert flow.evaluate({"image": images}, verbose=0) == flow.evaluate(tiny_images[:16], verbose=0)
    flow.fit(images, verbose=0)
    flow.train_on_batch(images)
    flow.test_on_batch(images)
    assert flow.predict_on_batch(images).shape == (16,)
    for method in (flow.fit, flow.evaluate, flow.predict):
        with pytest.raises(ValueError, match=WITHIN):
            method(wrong, verbose=0)
    for method in (flow.train_on_batch, flow.test_on_batch, flow.predict_on_batch):
        with pytest.raises(ValueError, match=WITHIN):
            method(wrong)
