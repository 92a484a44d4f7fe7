"""Lossless compression by causal flows."""

import hashlib
import json
import struct

import numpy as np
import pytest

from attnflow_keras import coding
from attnflow_keras.coding import codec, container
from attnflow_keras.coding.conditionals import Conditionals, Mixture, Networks, Normal
from attnflow_keras.coding.decisions import Reader, Writer, code_levels
from attnflow_keras.models import CausalFlow
from tests.conftest import make_tiny_flow
from tests.helpers import perturb, run_eagerly

pytestmark = pytest.mark.eager

SMALL = {"patch": 2, "layers": 1, "width": 8, "heads": 2, "group": 3, "components": 3}
KINDS = {
    "mixture": {},
    "noise is seen": {"see_levels": False},
    "linear": {"linear": True},
    "linear alone": {"linear": True, "group": 0},
    "affine": {"transform": "affine", "bins": ()},
}


def make(**changes):
    flow = CausalFlow((4, 4, 1), **{**SMALL, **changes})
    return perturb(flow, 0.1)


@pytest.fixture(scope="module")
def flow():
    return make()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (4, 4, 4, 1), dtype="uint8")


@pytest.fixture(scope="module")
def packed(flow, images):
    before = run_eagerly(True)  # it is set up before a test is marked so
    yield coding.compress(flow, images)
    run_eagerly(before)


def conditionals(flow, images):
    """Distributions of all values in the flow's order, and the levels that came."""
    given = Conditionals(Networks(flow), len(images))
    tokens = np.asarray(flow.levels()[0][0].steps()[0].tokens.split(images)).astype(int)
    for t in range(given.tokens):
        given.begin(t)
        for i in range(given.values):
            yield given.distribution(i), tokens[:, t, i]
            given.tell(i, tokens[:, t, i])


def edges(level):
    return np.full(1, level)


@pytest.mark.parametrize("kind", KINDS)
def test_images_come_back(kind):
    flow = make(**KINDS[kind])
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype="uint8")
    packed = coding.compress(flow, images, batch_size=3)
    np.testing.assert_array_equal(coding.decompress(flow, packed), images)


def test_channels_and_order_come_back():
    flow = perturb(CausalFlow((2, 4, 3), **SMALL), 0.1)
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 4, 3), dtype="uint8")
    images[1] = [0, 255, 128]
    np.testing.assert_array_equal(coding.decompress(flow, coding.compress(flow, images)), images)


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_has_the_density_of_the_flow(kind):
    """The mass of narrow intervals around the centres, multiplied, is exp(log_prob)."""
    flow = make(**KINDS[kind])
    images = np.random.default_rng(2).integers(1, 255, (4, 4, 4, 1), dtype="uint8")
    width = 1e-3  # of a grey level
    total = 0.0
    for distribution, levels in conditionals(flow, images):
        ends = [distribution.cdf(levels + 0.5 + side * width) for side in (-0.5, 0.5)]
        total = total + np.log((ends[1] - ends[0]) / (width / 256))
    expected = np.asarray(flow.log_prob(flow.dequantize(images, center=True)))
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-2)


def test_the_code_is_as_long_as_the_probabilities_say(flow):
    images = np.random.default_rng(3).integers(0, 256, (64, 4, 4, 1), dtype="uint8")
    bits = 0.0
    for distribution, levels in conditionals(flow, images):
        ends = [distribution.cdf(levels + side) for side in (0, 1)]
        whole = distribution.cdf(levels * 0 + 256) - distribution.cdf(levels * 0)
        bits -= np.log2((ends[1] - ends[0]) / whole).sum()
    words = container.unpack(coding.compress(flow, images, batch_size=64))[1]
    assert 0 <= 32 * len(words) - bits < 64 + 1e-3 * bits
    # And not longer than what scores say (Jensen's inequality), up to the noise of one draw.
    scored = np.asarray(flow.bits_per_dim(images)).mean()
    assert bits / images.size < scored + 0.02


def test_cdfs_of_known_distributions():
    one = np.zeros((1, 1))
    logistic = Mixture(one, one + 0.25, one + np.log(0.1), ())
    np.testing.assert_allclose(logistic.cdf(edges(192)), [0.5])
    # The map to the normal distribution is right to 1.5e-4.
    np.testing.assert_allclose(logistic.cdf(edges(205)), 1 / (1 + np.exp(-0.5078125)), atol=2e-4)
    halves = np.log([[0.5], [0.5]])
    binned = Mixture(halves, one + 9.0, one, (7,))
    below, above = (binned.cdf(edges(level)) for level in (7, 8))
    assert above - below == pytest.approx(0.5, abs=2e-4)
    far = Mixture(one, one - 1.0, one - 7, ())
    assert far.cdf(edges(256)) == 1.0
    normal = Normal(np.zeros(1), np.zeros(1))
    np.testing.assert_allclose(normal.cdf(edges(128)), [0.5])


class Known:
    """A distribution of given masses of the 256 levels."""

    def __init__(self, masses):
        self.below = np.concatenate([[0.0], np.cumsum(masses)])

    def cdf(self, edges):
        return self.below[edges]


def coded(masses, levels):
    writer = Writer()
    code_levels(Known(masses), writer, len(levels), levels)
    words = writer.words()
    back = code_levels(Known(masses), Reader(words), len(levels))
    np.testing.assert_array_equal(back, levels)
    return 32 * len(words)


def test_levels_take_the_bits_of_their_probability():
    rng = np.random.default_rng(0)
    masses = rng.dirichlet(np.full(256, 0.1))
    levels = rng.choice(256, 20_000, p=masses).astype("uint8")
    ideal = -np.log2(masses[levels]).sum()
    assert ideal <= coded(masses, levels) < ideal * 1.002 + 64
    # Mass outside of the levels is shared out.
    assert coded(0.25 * masses, levels) == coded(masses, levels)


def test_impossible_levels_still_come_back():
    masses = np.zeros(256)
    masses[3] = 1.0
    assert coded(masses, np.array([3, 255, 0, 3, 128], "uint8")) < 5 * 8 * 32
    assert coded(np.zeros(256), np.arange(256).astype("uint8")) <= 256 * 8 + 64


def test_what_is_refused_is_named(flow, images):
    with pytest.raises(ValueError, match=r"flow must be a causal flow of one block.*CausalFlow"):
        coding.compress(make(blocks=2), images)
    with pytest.raises(ValueError, match=r"causal flow of one block.*got MARFlow"):
        Networks(make_tiny_flow())
    with pytest.raises(ValueError, match="must take no condition"):
        coding.compress(make(classes=3), images)
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 4, 4, 1\); got float32"):
        coding.compress(flow, images.astype("float32"))
    with pytest.raises(ValueError, match="batch_size"):
        coding.compress(flow, images, batch_size=0)
    with pytest.raises(ValueError, match="names must be one for each of 4 images; got 1"):
        coding.compress(flow, images, names=["a"])


def test_another_flow_or_runtime_is_refused(flow, images, packed, monkeypatch):
    other = perturb(make(), 1e-6)
    with pytest.raises(coding.CompressedError, match="compressed by another flow"):
        coding.decompress(other, packed)
    before = codec.runtime_of(flow)
    monkeypatch.setattr(codec, "runtime_of", lambda flow: {**before, "numpy": "0.1"})
    with pytest.raises(coding.CompressedError, match=r"another runtime: numpy \S+ \(here 0\.1\)"):
        coding.decompress(flow, packed)
    np.testing.assert_array_equal(coding.decompress(flow, packed, any_runtime=True), images)


def test_the_header_says_what_it_holds(flow, images, packed):
    header = coding.read_header(packed)
    assert (header.images, header.shape, header.batch_size) == (4, (4, 4, 1), 500)
    assert header.values == images.size
    assert set(header.runtime) >= {"backend", "keras", "numpy", "constriction", "precision"}
    assert len(packed) == header.size + 4 * len(container.unpack(packed)[1])


def with_header(packed, **changes):
    header, words = container.unpack(packed)
    content = {**json.loads(header.text), **changes}
    text = json.dumps({key: value for key, value in content.items() if value != "gone"}).encode()
    head = container.MAGIC + struct.pack("<I", len(text)) + text
    return head + hashlib.sha256(head).digest() + words.tobytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 1}, "format 1, this version reads 2 and 3"),
        ({"format": 4}, "format 4"),
        ({"method": 1}, "must hold strings"),
        ({"batches": [2, 1]}, "batches of 3 images, which are 4"),
        ({"batches": [-1, 5]}, "batches must be of 1 to 500 images"),
        ({"batches": 4}, "batches must be"),
        ({"noise_words": -1}, "the coder's words"),
        ({"noise_words": 1 << 40}, "words of noise, more than"),
        ({"words": 1}, "bytes after the header, which says 4"),
        ({"words": -1}, "the coder's words"),
        ({"images": -1}, "positive integers"),
        ({"images": 1 << 31}, "more than"),
        ({"shape": [4, 4]}, "positive integers"),
        ({"shape": None}, "damaged"),
        ({"digest": 3}, "must hold strings"),
        ({"model": "gone"}, "damaged"),
        ({"more": 1}, "damaged"),
        ({"runtime": []}, "damaged"),
        ({"names": ["../x"] * 4}, "plain name"),
        ({"names": [1] * 4}, "names must be strings"),
        ({"names": ["x"]}, "1 names of 4 images"),
        ({"names": ["x", "y", "z", "x"]}, "two images are named 'x'"),
    ],
)
def test_a_hostile_header_is_refused(packed, changes, reason):
    with pytest.raises(coding.CompressedError, match=reason):
        coding.read_header(with_header(packed, **changes))


def test_files_of_an_earlier_format_are_read(flow, images, packed):
    gone = {"method": "gone", "batches": "gone", "noise_words": "gone"}
    earlier = with_header(packed, format=2, **gone)
    np.testing.assert_array_equal(coding.decompress(flow, earlier), images)


def test_another_method_is_refused(flow, packed):
    with pytest.raises(coding.CompressedError, match="coded by 'stages'; .* codes by 'values'"):
        coding.decompress(flow, with_header(packed, method="stages"))


def test_a_path_is_no_content():
    with pytest.raises(coding.CompressedError, match="data must be bytes.*; got str"):
        coding.read_header("digits.afc")


def test_damaged_words_never_give_wrong_images(flow, packed):
    coding.decompress(flow, packed)
    for place in (-1, -9):
        damaged = bytearray(packed)
        damaged[place] ^= 0x40
        with pytest.raises(coding.CompressedError, match=r"damaged|came back different"):
            coding.decompress(flow, bytes(damaged))
    start = coding.read_header(packed).size
    with pytest.raises(coding.CompressedError, match=r"damaged|came back different"):
        coding.decompress(flow, packed[: start + 8])
    for cut in (packed[: start - 5], packed[:7], packed[: start + 7], b"", packed + bytes(4)):
        with pytest.raises(coding.CompressedError):
            coding.decompress(flow, cut)
    # A letter of the header, such as one of the batch size or of a name.
    damaged = bytearray(packed)
    damaged[packed.index(b'"batch_size":5') + 13] ^= 0x01
    with pytest.raises(coding.CompressedError, match="header is not as it was written"):
        coding.decompress(flow, bytes(damaged))
