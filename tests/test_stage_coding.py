"""Lossless compression by couplings from fine to coarse."""

import numpy as np
import pytest

from attnflow_keras import coding
from attnflow_keras.coding import container, stages
from attnflow_keras.coding.decisions import code_levels
from attnflow_keras.coding.methods import method_of
from attnflow_keras.models import TransformerCouplingFlow
from tests.helpers import perturb

pytestmark = pytest.mark.eager

SMALL = {"patch": 2, "couplings": 0, "refine": True, "layers": 1, "width": 8, "heads": 2}


def make(shape=(4, 4, 1), **changes):
    return perturb(TransformerCouplingFlow(shape, **{**SMALL, "components": 3, **changes}), 0.1)


def drawn(n, shape, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype="uint8")
    images[0, 0] = 0
    images[-1, 0] = 255
    return images


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ((4, 4, 1), {}),
        ((2, 4, 2), {"context": "around"}),
        ((4, 4, 1), {"see_levels": False, "bins": ()}),
    ],
)
def test_images_come_back(shape, changes):
    flow = make(shape, **changes)
    images = drawn(5, shape)
    packed = coding.compress(flow, images, batch_size=2)
    header = coding.read_header(packed)
    assert (header.method, header.batches, header.noise_words) == ("stages", [], 0)
    np.testing.assert_array_equal(coding.decompress(flow, packed), images)


def coded_distributions(flow, images, monkeypatch):
    """Distributions of the values of all stages, and the levels that were coded with them."""
    found = []

    def code(distribution, coder, n, levels=None):
        found.append((distribution, levels.astype(int)))
        return code_levels(distribution, coder, n, levels)

    monkeypatch.setattr(stages, "code_levels", code)
    words = container.unpack(coding.compress(flow, images))[1]
    return found, 32 * len(words)


def test_distributions_have_the_density_of_the_flow(monkeypatch):
    """The mass of narrow intervals around the centres, multiplied, is exp(log_prob)."""
    flow = make()
    images = np.random.default_rng(2).integers(1, 255, (3, 4, 4, 1), dtype="uint8")
    width = 1e-3  # of a grey level
    total = np.zeros(3)
    for distribution, levels in coded_distributions(flow, images, monkeypatch)[0]:
        ends = [distribution.cdf(levels + 0.5 + side * width) for side in (-0.5, 0.5)]
        total += np.log((ends[1] - ends[0]) / (width / 256)).reshape(3, -1).sum(axis=1)
    expected = np.asarray(flow.log_prob(flow.dequantize(images, center=True)))
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-2)


def test_the_code_is_as_long_as_the_probabilities_say(monkeypatch):
    flow = make()
    images = drawn(64, (4, 4, 1))
    found, length = coded_distributions(flow, images, monkeypatch)
    bits = 0.0
    for distribution, levels in found:
        ends = [distribution.cdf(levels + side) for side in (0, 1)]
        whole = distribution.cdf(levels * 0 + 256) - distribution.cdf(levels * 0)
        bits -= np.log2((ends[1] - ends[0]) / whole).sum()
    assert 0 <= length - bits < 64 + 1e-3 * bits


def test_couplings_after_the_stages_are_coded_otherwise():
    assert method_of(make()).name == "stages"
    assert method_of(make(couplings=2)).name == "bits back"
    assert method_of(make(preprocess={"pad": 1})).name == "bits back"


def test_damaged_words_never_give_wrong_images():
    flow, images = make(), drawn(4, (4, 4, 1))
    packed = coding.compress(flow, images)
    damaged = bytearray(packed)
    damaged[coding.read_header(packed).size + 9] ^= 0x10
    with pytest.raises(coding.CompressedError, match=r"damaged|came back different"):
        coding.decompress(flow, bytes(damaged))
