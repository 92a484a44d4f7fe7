"""Every backbone, by name: a new one is a line here and gets all tests of test_models.py.

An entry is (constructor, condition). The constructor takes changes of its tiny flow's arguments;
the condition takes a random generator, a flow and a number of images, and gives their condition.
"""

from functools import cache, partial

import keras
import numpy as np

from attnflow_keras.models import (
    CausalFlow,
    CGlow,
    DualGlow,
    FlowPlusPlus,
    FullGlow,
    Glow,
    ResidualFlow,
    SRFlow,
    TransformerCouplingFlow,
)
from tests.conftest import make_tiny_flow
from tests.helpers import perturb

PALETTE = [(0, 0, 120), (30, 160, 40), (230, 200, 90)]
SMALL_ENCODER = {"features": 4, "growth": 2, "blocks": 1, "stacked": (0,)}
TWO_BLOCKS = {**SMALL_ENCODER, "blocks": 2, "stacked": (1,)}
TWO_LEVELS = {"levels": 2, "steps": 1}
GLOW = {**TWO_LEVELS, "width": 6}
RESIDUAL = {
    "levels": 2,
    "blocks": 1,
    "width": 6,
    "dense_blocks": 1,
    "dense_width": 5,
    "lipschitz": 0.5,
}
SPLIT = {"split": True, "dense_blocks": 0, "margin": None, "attention": "concat"}
PLUS = {
    "width": 8,
    "blocks": 1,
    "heads": 2,
    "components": 3,
    "couplings": (2, 1, 1),
    "dequantization": "uniform",
}
TOKENS = {"patch": 2, "layers": 1, "width": 8, "heads": 2, "components": 3}
CAUSAL = {**TOKENS, "group": 3}
COUPLINGS = {**TOKENS, "couplings": 6}
FEWER = {"couplings": 4, "mixtures": 2}
MAP = {"condition_width": 4}


def make(kind, image_shape, *options):
    """A constructor whose defaults are these options, one after the other."""
    arguments = {"image_shape": image_shape}
    for given in options:
        arguments |= given
    return lambda **changes: kind(**{**arguments, **changes})


def small_images(rng, flow, n):
    return rng.integers(0, 256, (n, *flow.condition_shape)).astype("uint8")


def label_maps(rng, flow, n):
    return rng.integers(0, 3, (n, *flow.image_shape[:2])).astype("uint8")


def classes(rng, flow, n):
    return np.arange(n) % 3


make_srflow = make(SRFlow, (16, 8, 3), GLOW, {"scale": 4, "encoder_options": SMALL_ENCODER})
make_fullglow = make(FullGlow, (20, 24, 3), GLOW, {"condition_width": 5, "palette": PALETTE})
make_cglow = make(CGlow, (16, 24, 3), GLOW, MAP, {"condition_units": 5, "palette": PALETTE})
make_dualglow = make(DualGlow, (12, 20, 3), GLOW, {"palette": PALETTE})
make_causal = make(CausalFlow, (4, 4, 3), CAUSAL)
make_coupling = make(TransformerCouplingFlow, (4, 4, 3), COUPLINGS)
LABELS = {"palette": PALETTE, **MAP}

MODELS = {
    "marflow": (make_tiny_flow, None),
    "glow": (make(Glow, (8, 8, 1), GLOW), None),
    "srflow": (partial(make_srflow, image_shape=(8, 8, 3), split="all"), small_images),
    "fullglow": (make_fullglow, label_maps),
    "cglow": (make_cglow, label_maps),
    "dualglow": (make_dualglow, label_maps),
    "residual": (make(ResidualFlow, (4, 4, 2), RESIDUAL), None),
    "flow_plus_plus": (make(FlowPlusPlus, (4, 4, 2), PLUS), None),
    "causal": (partial(make_causal, classes=3, dropout=0.2), classes),
    "coupling": (partial(make_coupling, couplings=4, classes=3), classes),
}

# More forms of these backbones. They get every test but those of training, policies and diagnosis.
VARIANTS = {
    "marflow_itrans": (partial(make_tiny_flow, attention="itrans"), None),
    "marflow_bins": (partial(make_tiny_flow, bins=(0, 255)), None),
    "glow_dualglow": (make(Glow, (8, 8, 1), GLOW, {"steps": 2, "variant": "dualglow"}), None),
    "srflow_residual": (
        partial(make_srflow, image_shape=(8, 8, 3), residual=True, encoder_options=TWO_BLOCKS),
        small_images,
    ),
    "residual_split": (
        make(ResidualFlow, (4, 4, 2), RESIDUAL, SPLIT),
        None,
    ),
    "causal_alone": (make_causal, None),
    "causal_scale": (partial(make_causal, scale=2, **MAP), small_images),
    "causal_labels": (partial(make_causal, condition_blocks=1, **LABELS), label_maps),
    "coupling_alone": (partial(make_coupling, mixtures=2, bins=(0,), seed=5), None),
    "coupling_refine": (
        partial(make_coupling, refine=True, couplings=0, context="around", bins=(0,)),
        None,
    ),
    "coupling_scale": (partial(make_coupling, scale=2, **MAP, **FEWER), small_images),
    "coupling_labels": (partial(make_coupling, condition_blocks=1, **LABELS, **FEWER), label_maps),
}
ALL = {**MODELS, **VARIANTS}

# Left out of a log-determinant is at most 32 * 0.5^41 / (41 * 0.5) = 7e-13.
EXACT_TRACES = {"probes": None, "terms": 40}
# What to change for a whole Jacobian, where that of the tiny flow is too large.
TINY = {
    "fullglow": {"image_shape": (10, 12, 3), "levels": 1},
    "cglow": {"image_shape": (8, 8, 3), "levels": 1},
    "dualglow": {"image_shape": (6, 8, 3), "levels": 1},
    "residual": EXACT_TRACES,
    "residual_split": EXACT_TRACES,
}
# What to change where a sequential inverse of the tiny flow takes too long.
FEW_TOKENS = {"image_shape": (2, 2, 3), "patch": 1}
# Moved further than this, their networks of a condition blow up.
SCALES = {"fullglow": 0.02, "cglow": 0.02, "dualglow": 0.02}


def pairs(name, flow, n, seed=0):
    """``n`` random uint8 images, and their condition or None."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, *flow.image_shape)).astype("uint8")
    condition = ALL[name][1]
    return images, None if condition is None else condition(rng, flow, n)


def batch_of(images, condition):
    """What ``fit`` takes."""
    return images if condition is None else {"image": images, "condition": condition}


def build(name, **changes):
    """An adapted flow with weights away from their start."""
    keras.utils.set_random_seed(0)
    flow = ALL[name][0](**changes)
    flow.adapt(batch_of(*pairs(name, flow, 32)))
    return perturb(flow, SCALES.get(name, 0.05))


# Built once in a process. Tests leave it as it is, and change a clone.
shared = cache(build)
