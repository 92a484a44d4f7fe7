"""The walk through levels: order, splits, conditions, and what is done at each layer."""

import threading

import keras
import numpy as np
import pytest

from attnflow_keras.layers import (
    ActNorm,
    AffineCoupling,
    AffineInjector,
    CausalAttention,
    Chain,
    ConditionShift,
    ConditionSlice,
    MultiScale,
    Squeeze,
    TransformerCoupling,
)
from attnflow_keras.layers.chain import at_leaves, calling
from attnflow_keras.networks import Conditioner, GatedAttentionNet, GatedConvNet
from attnflow_keras.ops import loops
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.priors import GaussianPrior, LinkedPrior, StandardPrior
from tests.helpers import batch, perturb


def make(first_prior=None, **conditioned):
    prior = first_prior or GaussianPrior(condition_channels=2, dtype="float64")
    levels = [
        (Chain({"squeeze": Squeeze(dtype="float64")}, dtype="float64"), None),
        (ActNorm(dtype="float64"), prior),
        (
            AffineCoupling(GatedConvNet(4, dtype="float64"), dtype="float64", **conditioned),
            StandardPrior(dtype="float64"),
        ),
    ]
    walk = MultiScale(levels)
    shapes = walk.build((4, 4, 1))
    for layer in walk.named_layers().values():
        perturb(layer)
    return walk, shapes


def test_levels_split_and_the_inverse_joins():
    walk, shapes = make()
    assert shapes == ((2, 2, 2), (2, 2, 2))
    assert list(walk.named_layers()) == ["level_1", "level_2", "prior_2", "level_3", "prior_3"]
    x = batch((4, 4, 1))
    latents, log_det = walk.encode(x)
    assert [tuple(z.shape[1:]) for z in latents] == list(shapes)
    assert log_det.shape == (2,)
    np.testing.assert_allclose(walk.decode([np.array(z) for z in latents]), x, atol=1e-10)


def test_every_leaf_is_visited_in_order_and_backwards():
    walk, _ = make()
    visited = []

    def note(layer, x, condition, inverse):
        visited.append((type(layer).__name__, inverse, condition is not None))
        return calling()(layer, x, condition, inverse)

    latents, _ = walk.encode(batch((4, 4, 1)), apply=at_leaves(note))
    walk.decode(latents, apply=at_leaves(note))
    # The prior of the second level sees the half that goes on; the others take no condition.
    forward = [
        ("Squeeze", False),
        ("ActNorm", False),
        ("GaussianPrior", True),
        ("AffineCoupling", False),
        ("StandardPrior", False),
    ]
    assert visited == [
        *((name, False, given) for name, given in forward),
        *((name, True, given) for name, given in reversed(forward)),
    ]


def test_features_go_to_the_layers_of_their_level():
    linked = LinkedPrior(condition_channels=3, dtype="float64")
    walk, _ = make(linked, condition_channels=3)
    features = tuple(batch((2, 2, 3), seed=i) for i in range(3))
    seen = {}

    def note(layer, x, condition, inverse):
        seen[type(layer).__name__] = condition
        return calling()(layer, x, condition, inverse)

    walk.encode(batch((4, 4, 1)), features, note)
    assert seen["LinkedPrior"] is features[1]  # not the half that goes on
    assert seen["AffineCoupling"] is features[2]
    assert seen["ActNorm"] is None


def test_a_shift_takes_the_last_part_of_the_condition():
    shift = ConditionShift(condition_channels=1, dtype="float64")
    walk = MultiScale([(ActNorm(dtype="float64"), StandardPrior(dtype="float64"))], shift)
    walk.build((3, 3, 1))
    x, mean = batch((3, 3, 1)), batch((3, 3, 1), seed=2)
    (z,), log_det = walk.encode(x, (x, mean))
    np.testing.assert_allclose(z, x - mean)
    assert not np.any(log_det)
    np.testing.assert_allclose(walk.decode([z], (x, mean)), x)


@pytest.mark.parametrize("levels", [[], [(ActNorm(), None)]])
def test_the_last_level_has_a_prior(levels):
    with pytest.raises(ValueError, match="levels must be at least one, and the last must have a"):
        MultiScale(levels)


def noisy_network():
    return GatedAttentionNet(4, blocks=1, heads=2, dropout=0.5)


CAUSAL = {"patch": 2, "width": 4, "layers": 1, "heads": 2, "dropout": 0.5}
NOISY = {
    "coupling": lambda: AffineCoupling(noisy_network()),
    "injector": lambda: AffineInjector(noisy_network(), condition_channels=3),
    "slice": lambda: ConditionSlice(
        AffineInjector(noisy_network(), condition_channels=2), start=1, condition_channels=3
    ),
    "causal": lambda: CausalAttention(group=2, transform="affine", **CAUSAL),
    "transformer": lambda: TransformerCoupling(transform="affine", **CAUSAL),
}


@pytest.mark.parametrize("name", NOISY)
def test_dropout_is_there_with_noise_alone_and_a_function_of_its_step(name):
    plain = AffineCoupling(GatedConvNet(4))
    layer = NOISY[name]()
    channels = layer.condition_channels
    inner = Chain({"noisy": layer}, condition_channels=channels)
    chain = Chain({"plain": plain, "inner": inner}, condition_channels=channels)
    chain.build((None, 4, 4, 4))
    perturb(chain)
    assert (chain.takes_noise, plain.takes_noise) == (True, False)
    x = batch((4, 4, 4), dtype="float32")
    condition = batch((4, 4, channels), seed=2, dtype="float32") if channels else None

    def run(noise=None):
        return np.asarray(calling(noise)(chain, x, condition, False)[0])

    np.testing.assert_array_equal(run(), run())
    np.testing.assert_array_equal(run(StepNoise(0, 3)), run(StepNoise(0, 3)))
    assert np.abs(run(StepNoise(0, 3)) - run(StepNoise(0, 4))).max() > 0
    assert np.abs(run(StepNoise(0, 3)) - run()).max() > 0


def test_the_lowering_of_loops_ends_with_its_block_and_keeps_to_its_thread():
    found = []
    with loops.lowered(loops.Lowering.ONNX):
        assert loops.for_onnx()
        thread = threading.Thread(target=lambda: found.append(loops.for_onnx()))
        thread.start()
        thread.join()
    assert found == [False]
    assert not loops.for_onnx()


def test_a_conditioner_of_ones_own():
    class Ones(Conditioner):
        def build_network(self, shape):
            self.kernel = self.add_weight((shape[-1], self.out_channels), "ones")

        def call(self, x):
            return x @ self.kernel

    layer = AffineCoupling(Ones(dtype="float64"), dtype="float64")
    layer.build((None, 2, 2, 4))
    x = batch((2, 2, 4))
    back, _ = layer(np.array(layer(x)[0]), inverse=True)
    np.testing.assert_allclose(back, x, atol=1e-10)
    with pytest.raises(ValueError, match="conditioner must be a Conditioner, such as .* got Dense"):
        AffineCoupling(keras.layers.Dense(4))
