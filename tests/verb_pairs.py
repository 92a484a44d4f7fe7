"""Keras flows and sessions of their exports, whose public methods are to agree.

Exports are TensorFlow's: on JAX a clone, compiled anew, stands in for the session.
"""

from typing import NamedTuple

import keras
import numpy as np

from export.runtime import Session
from tests.helpers import JAX, perturb
from tests.model_table import LABELS, PALETTE, make_causal, make_coupling, make_srflow

COLOURS = np.array(PALETTE, "uint8")


def noise_images(rng, n, *shape):
    return rng.integers(0, 256, (n, *shape)).astype("uint8")


# What makes a flow, and conditions of 16 images; that without a condition is everybody's.
KINDS = {
    "unconditional": None,
    "super-resolution": (
        lambda: make_srflow(image_shape=(16, 16, 3), split="all"),
        lambda rng: noise_images(rng, 16, 4, 4, 3),
    ),
    "label to photo": (
        lambda: make_causal(condition_blocks=1, **LABELS),
        lambda rng: rng.integers(0, 3, (16, 4, 4)),
    ),
    "classes": (lambda: make_coupling(couplings=2, classes=3), lambda rng: np.arange(16) % 3),
}


class Pair(NamedTuple):
    kind: str
    flow: object
    session: Session
    images: np.ndarray
    condition: np.ndarray | None

    @property
    def models(self):
        return self.flow, self.session

    def some(self, n, start=0):
        """Images, and the keyword argument of their conditions."""
        part = slice(start, start + n)
        given = {} if self.condition is None else {"condition": self.condition[part]}
        return self.images[part], given


def unconditional(request, images):
    """The flow that other tests export too."""
    if JAX:
        from tests.conftest import flow_to_export

        flow = flow_to_export(images, steps=2)
        return Pair("unconditional", flow, flow.clone(), images, None)
    flow, folder, _ = request.getfixturevalue("exported")
    return Pair("unconditional", flow, Session(folder, "cpu"), images, None)


def make_pair(kind, export_once):
    """The same in every process."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    make_flow, make_condition = KINDS[kind]
    flow, condition = make_flow(), make_condition(rng)
    images = noise_images(rng, 16, *flow.image_shape)
    flow.adapt({"image": images, "condition": condition})
    perturb(flow, 0.03)
    if JAX:
        return Pair(kind, flow, flow.clone(), images, condition)
    folder = export_once(f"verbs {kind}", flow, images=images, condition=condition)
    return Pair(kind, flow, Session(folder, "cpu"), images, condition)


def same(pair, call, **tolerance):
    """The value that both give."""
    ours, theirs = call(pair.flow), call(pair.session)
    if tolerance:
        np.testing.assert_allclose(theirs, ours, **tolerance)
    else:
        np.testing.assert_array_equal(theirs, ours)
    return np.asarray(ours)
