"""Gradient recomputation: the same steps, with each layer computed again on the way back."""

from collections import Counter

import keras
import numpy as np
import pytest

from attnflow_keras.layers import ActNorm, InvertibleConv1x1, MixtureCoupling
from tests.model_table import build, pairs


def losses_of(name, remat, **changes):
    flow = build(name, **changes)
    images, condition = pairs(name, flow, 4, seed=1)
    flow.compile(keras.optimizers.SGD(1e-2, clipnorm=1.0), remat=remat)
    batch = images if condition is None else {"image": images, "condition": condition}
    history = flow.fit(batch, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]
    return history, flow.get_weights()


# With a condition, with dropout, with several levels.
@pytest.mark.parametrize("name", ["marflow", "causal", "srflow_residual"])
def test_the_steps_are_the_same(name):
    losses, weights = losses_of(name, remat=False, dtype="float64")
    again, moved = losses_of(name, remat=True, dtype="float64")
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    for a, b in zip(moved, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_every_layer_is_computed_again(monkeypatch):
    calls = Counter()
    for kind in (ActNorm, MixtureCoupling, InvertibleConv1x1):

        def counting(self, *args, genuine=kind.transform, **kwargs):
            calls[self.name] += 1
            return genuine(self, *args, **kwargs)

        monkeypatch.setattr(kind, "transform", counting)
    once, again = [], []
    for remat, found in ((False, once), (True, again)):
        flow = build("marflow")
        flow.compile("sgd", remat=remat)
        calls.clear()
        flow.train_on_batch(pairs("marflow", flow, 2)[0])
        found.extend(calls.values())
    assert len(once) == len(again) >= 3
    # Tracing may go through a layer more than once, with recomputation once more each time.
    assert sum(again) == 2 * sum(once)
