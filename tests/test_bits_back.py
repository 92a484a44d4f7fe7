"""Lossless compression by couplings, with local bits back."""

import numpy as np
import pytest

from attnflow_keras import coding, layers
from attnflow_keras.bijectors import MixtureLogisticCDF
from attnflow_keras.coding import container
from attnflow_keras.coding.bits_back import noise_words
from attnflow_keras.coding.elementwise import LogisticNormal, MixtureLogit, Scale, Sequence
from attnflow_keras.coding.layer_steps import steps_of
from attnflow_keras.coding.lifting import lift, triangular
from attnflow_keras.coding.local import LEVEL_BITS, UNIT, decode_map, encode_map
from attnflow_keras.coding.stack import Stack, StackEmptyError
from attnflow_keras.models import (
    CausalFlow,
    FlowPlusPlus,
    Glow,
    MARFlow,
    ResidualFlow,
    TransformerCouplingFlow,
)
from attnflow_keras.networks import GatedConvNet
from tests.conftest import make_tiny_flow
from tests.helpers import perturb

pytestmark = pytest.mark.eager


def full_stack(words=20_000):
    stack = Stack(noise_words(0, words))
    return stack, stack.words()


def mixture(m, k=3, bins=0, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(k + bins, m))
    log_weights = logits - np.log(np.exp(logits).sum(axis=0))
    means, log_scales = rng.normal(size=(k, m)), rng.uniform(-3, 0, (k, m))
    return MixtureLogit(log_weights, means, log_scales, np.linspace(-0.5, 0.5, bins), 0.25)


MAPS = {
    "scale": lambda m: Scale(np.full(m, 0.3), np.linspace(-20, 20, m)),
    "mixture": mixture,
    "narrow": lambda m: MixtureLogit(np.zeros((1, m)), np.zeros((1, m)), np.full((1, m), -6.0)),
    "normal": lambda m: Sequence(mixture(m), LogisticNormal()),
    "bins": lambda m: mixture(m, bins=2),
}


# --- the stack -----------------------------------------------------------------------------


def test_the_stack_gives_back_what_it_got():
    stack, before = full_stack()
    rng = np.random.default_rng(0)
    deviations = np.exp2(rng.uniform(-3, 34, 500))
    means = rng.normal(size=500) * 2.0**30
    # Some are far out, where no cell is.
    numbers = np.rint(means + deviations * rng.normal(size=500) ** 3 * 3).astype("int64")
    numbers[:2] = [2**60, -(2**60)]
    stack.push_normal(numbers, means, deviations)
    stack.push_uniform(np.arange(100), 7)
    assert (stack.pop_uniform(100, 7) == np.arange(100)).all()
    np.testing.assert_array_equal(stack.pop_normal(means, deviations), numbers)
    np.testing.assert_array_equal(stack.words(), before)


@pytest.mark.parametrize("deviation", [128.0, 700.0, 2.0**24, 2.0**33])
def test_popped_numbers_are_normal_and_take_their_bits(deviation):
    stack, before = full_stack(60_000)
    numbers = stack.pop_normal(np.full(20_000, 3e6), np.full(20_000, deviation))
    drawn = (numbers - 3e6) / deviation
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.std() - 1) < 0.02
    assert abs((drawn**4).mean() - 3) < 0.2
    bits = 32 * (len(before) - stack.size) / 20_000
    assert bits == pytest.approx(np.log2(deviation * np.sqrt(2 * np.pi * np.e)), abs=0.03)


def test_an_empty_stack_is_noticed_before_bits_are_lost():
    stack = Stack(noise_words(0, 100))
    stack.pop_normal(np.zeros(100), np.full(100, 1e6))
    with pytest.raises(StackEmptyError):
        stack.pop_normal(np.zeros(100), np.full(100, 1e6))
    with pytest.raises(FloatingPointError, match="not finite"):
        stack.push_normal(np.zeros(1, "int64"), np.full(1, np.nan), np.ones(1))


# --- maps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
def test_maps_have_their_slopes_and_inverses(name):
    f = MAPS[name](200)
    x = np.random.default_rng(1).normal(size=200) * (0.02 if name == "narrow" else 1.0)
    y, slopes = f.forward(x)
    back, slopes_back = f.inverse(y)
    np.testing.assert_allclose(back, x, atol=1e-8)
    np.testing.assert_allclose(slopes_back, slopes, rtol=1e-4)
    step = 1e-6
    differences = np.abs(f.forward(x + step)[0] - f.forward(x - step)[0]) / (2 * step)
    smooth = np.full(200, name != "bins")
    np.testing.assert_allclose(differences[smooth], slopes[smooth], rtol=1e-3)


def test_a_mixture_is_that_of_the_bijector():
    rng = np.random.default_rng(0)
    means, log_scales = rng.normal(size=(2, 1, 1, 1, 3, 50))
    logits = rng.normal(size=(1, 1, 1, 4, 50))
    bijector = MixtureLogisticCDF(
        logits, means, log_scales, floor=0.01, bins=[-0.1], bin_width=0.25
    )
    parts = (bijector.log_weights, bijector.means, bijector.log_scales)
    ours = MixtureLogit(*(np.asarray(p).reshape(-1, 50) for p in parts), [-0.1], 0.25)
    x = rng.normal(size=50)
    y, slopes = ours.forward(x)
    theirs, log_det = bijector.forward_and_log_det(x.reshape(1, 1, 1, -1))
    np.testing.assert_allclose(y, np.asarray(theirs).ravel(), atol=1e-6)
    assert np.log(slopes).sum() == pytest.approx(float(log_det[0]), abs=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_a_map_costs_minus_the_log_of_its_slope(name):
    m = 4000
    f = MAPS[name](m)
    spread = 0.02 if name == "narrow" else 1.0
    x = np.rint(np.random.default_rng(1).normal(size=m) * spread * UNIT).astype("int64")
    stack, before = full_stack(30_000)
    z = encode_map(stack, f, x)
    values, slopes = f.forward(x / UNIT)
    # z is close to f(x): noise of a few cells, which a slope multiplies.
    assert np.abs((z / UNIT - values) / np.maximum(slopes, 1 / 2)).max() < 6 * 480 / UNIT
    bits = 32 * (stack.size - len(before))
    assert bits == pytest.approx(-np.log2(slopes).sum(), abs=64 + 2e-3 * m)
    np.testing.assert_array_equal(decode_map(stack, f, z), x)
    np.testing.assert_array_equal(stack.words(), before)


@pytest.mark.parametrize("upper", [False, True])
def test_lifting_is_exact_and_close_to_the_product(upper):
    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(4, 4, 3, 1))
    x = rng.integers(-(2**34), 2**34, (4, 3, 5))
    triangle = (np.triu if upper else np.tril)(np.ones((4, 4)), 1 if upper else -1)
    product = x + np.einsum("ij,ijnx,jnm->inm", triangle, matrices, x)
    y = lift(x, matrices, upper)
    assert np.abs(y - product).max() < 0.51
    np.testing.assert_array_equal(lift(y, matrices, upper, inverse=True), x)


def test_triangular_factors_give_the_matrix():
    matrix = np.random.default_rng(0).uniform(-0.1, 0.1, (5, 5, 3)) + np.eye(5)[..., None]
    lower, diagonal, upper = triangular(matrix)
    np.testing.assert_allclose(
        np.einsum("ijn,jn,jkn->ikn", lower, diagonal, upper), matrix, atol=1e-15
    )


# --- layers --------------------------------------------------------------------------------


def small_net():
    return GatedConvNet(width=6, blocks=1)


LAYERS = {
    "squeeze": layers.Squeeze,
    "flip": layers.FlipHalves,
    "columns": layers.SplitColumns,
    "actnorm": layers.ActNorm,
    "convolution": layers.InvertibleConv1x1,
    "actnorm and convolution": lambda: layers.Chain(
        {"norm": layers.ActNorm(), "conv": layers.InvertibleConv1x1(layout="packed", seed=1)}
    ),
    "affine": lambda: layers.AffineCoupling(small_net()),
    "sigmoid": lambda: layers.AffineCoupling(small_net(), scale="sigmoid"),
    "mixture": lambda: layers.MixtureCoupling(small_net(), components=2),
    "rescaled": lambda: layers.MixtureCoupling(small_net(), components=2, rescale=True),
    "bins": lambda: layers.MixtureCoupling(small_net(), components=2, bins=(0, 255), spread=0.5),
    "imap": layers.IMapAttention,
    "imap by channel": lambda: layers.IMapAttention(bias="channel", pool="space", mask="channel"),
    "itrans": lambda: layers.ITransAttention(heads=2),
    "itrans mean": lambda: layers.ITransAttention(heads=2, combine="mean", grid=(4, 1)),
    "transformer": lambda: layers.TransformerCoupling(patch=2, width=8, layers=1, heads=2),
    "transformer mixture": lambda: layers.TransformerCoupling(
        patch=2, width=8, layers=1, heads=2, kind="pixels", transform="mixture", components=2
    ),
}


class FlowOf:
    """What networks ask of a flow."""

    variable_dtype = "float32"


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_and_costs_its_log_determinant(name):
    layer = LAYERS[name]()
    shape = (4, 4, 4)
    layer.build((None, *shape))
    perturb(layer, 0.1)
    rng = np.random.default_rng(0)
    x = np.rint(rng.normal(size=(20, 64)) * 0.5 * UNIT).astype("int64")
    step = steps_of(layer, shape, FlowOf())
    stack, before = full_stack()
    y = step.encode(stack, x)
    expected, log_det = layer((x / UNIT).astype("float32").reshape(-1, *shape))
    # In a bin the slope, which multiplies the noise, is some hundred.
    most = 2e-3 if name == "bins" else 1e-4
    np.testing.assert_allclose(y / UNIT, np.asarray(expected).reshape(20, -1), atol=most)
    bits = 32 * (stack.size - len(before))
    assert bits == pytest.approx(-float(np.sum(log_det)) / np.log(2), abs=64 + 2e-3 * x.size)
    np.testing.assert_array_equal(step.decode(stack, y), x)
    np.testing.assert_array_equal(stack.words(), before)


# --- flows ---------------------------------------------------------------------------------

TOKENS = {"patch": 2, "layers": 1, "width": 8, "heads": 2, "components": 2}
FLOWS = {
    "imap": {},
    "itrans": {"attention": "itrans"},
    "affine": {"attention": None, "coupling": "affine"},
    "bins": {"bins": (0, 255), "attention": None},
    "padded": {"image_shape": (6, 6, 1), "preprocess": {"pad": 1, "replicate": 2}},
}


@pytest.mark.parametrize("kind", FLOWS)
def test_images_come_back(kind, tiny_images):
    flow = perturb(make_tiny_flow(**FLOWS[kind]), 0.05)
    images = np.ascontiguousarray(tiny_images[:5, : flow.image_shape[0], : flow.image_shape[1]])
    packed = coding.compress(flow, images)
    header = coding.read_header(packed)
    assert header.method == "bits back"
    assert sum(header.batches) == 5
    assert 0 < header.noise_words < container.unpack(packed)[1].size
    np.testing.assert_array_equal(coding.decompress(flow, packed), images)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Glow((8, 8, 1), levels=2, steps=1, width=6),
        lambda: Glow((8, 8, 1), levels=1, steps=1, width=6, variant="dualglow"),
        lambda: TransformerCouplingFlow((8, 8, 1), couplings=2, mixtures=2, **TOKENS),
        lambda: TransformerCouplingFlow((8, 8, 1), couplings=2, refine=True, **TOKENS),
    ],
)
def test_other_flows_come_back(make, tiny_images):
    flow = perturb(make(), 0.05)
    packed = coding.compress(flow, tiny_images[:2])
    np.testing.assert_array_equal(coding.decompress(flow, packed), tiny_images[:2])


def test_the_rate_is_that_of_the_model(tiny_flow, tiny_images):
    """Less the words that it starts with, the code has the bits of the flow's density."""
    images = tiny_images
    packed = coding.compress(tiny_flow, images)
    header, words = container.unpack(packed)
    bits = 32 * (len(words) - header.noise_words)
    scored = [np.asarray(tiny_flow.bits_per_dim(images, seed=seed)).mean() for seed in range(4)]
    assert bits / images.size == pytest.approx(np.mean(scored), abs=0.02)
    # The first image needs no more than some words a value, and batches grow.
    assert header.noise_words < 2.5 * tiny_flow.float_dims
    assert header.batches[0] == 1
    assert max(header.batches) >= 16
    assert header.noise_words * 32 > LEVEL_BITS * tiny_flow.float_dims


def test_damaged_words_never_give_wrong_images(tiny_flow, tiny_images):
    packed = coding.compress(tiny_flow, tiny_images[:3])
    start = coding.read_header(packed).size
    for place in (-1, -9, start + 1, (start + len(packed)) // 2):
        damaged = bytearray(packed)
        damaged[place] ^= 0x20
        with pytest.raises(coding.CompressedError, match=r"damaged|came back different"):
            coding.decompress(tiny_flow, bytes(damaged))


def test_small_batches_are_kept_to(tiny_flow, tiny_images):
    packed = coding.compress(tiny_flow, tiny_images[:12], batch_size=3)
    assert set(coding.read_header(packed).batches) <= {1, 2}
    np.testing.assert_array_equal(coding.decompress(tiny_flow, packed), tiny_images[:12])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: CausalFlow((4, 4, 1), patch=2, width=8, layers=1, heads=2, blocks=2), "Causal"),
        (
            lambda: FlowPlusPlus(
                (4, 4, 1), width=8, blocks=1, heads=2, components=2, couplings=(1, 1, 1)
            ),
            "FlowPlusPlus may draw noise given the image",
        ),
        (
            lambda: ResidualFlow(
                (4, 4, 1), levels=1, blocks=1, width=6, dense_blocks=0, margin=None
            ),
            "ContractiveResidual with the log-determinant is an estimate",
        ),
        (lambda: make_tiny_flow(coupling_options={"form": "paper"}), "MixtureCoupling with form="),
        (
            lambda: MARFlow((8, 8, 1), levels=1, steps=1, width=8, conditioner="gated_conv"),
            "AutoregressivePrior is none of the priors",
        ),
    ],
)
def test_what_is_refused_is_named(make, reason):
    flow = make()
    images = np.zeros((1, *flow.image_shape), "uint8")
    with pytest.raises(ValueError, match=rf"got {type(flow).__name__}: .*{reason}"):
        coding.compress(flow, images)
