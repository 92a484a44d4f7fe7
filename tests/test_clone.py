"""flow.clone: the same flow, under another policy or for another size."""

import numpy as np
import pytest

from attnflow_keras.flow.frozen import frozen_ranges
from attnflow_keras.models import Glow
from tests.conftest import make_tiny_flow
from tests.helpers import perturb
from tests.model_table import make_srflow


def equal_weights(a, b):
    pairs = zip(a.weights, b.weights, strict=True)
    return all(np.array_equal(np.asarray(v), np.asarray(w)) for v, w in pairs)


def test_what_is_frozen_stays_frozen_and_what_is_compiled_is_not():
    flow = make_tiny_flow()
    flow.level_1.trainable = False
    flow.compile("adam", jit_compile=False)
    flow.jit = True
    flow.note_origin({"task": "unconditional"})
    assert not flow.clone().is_adapted
    copy = flow.clone()
    assert frozen_ranges(copy) == frozen_ranges(flow) != []
    assert len(copy.trainable_variables) < len(make_tiny_flow().trainable_variables)
    assert not copy.compiled
    assert not copy.jit
    assert copy.origin == flow.origin == {"task": "unconditional"}


def test_another_policy(tiny_flow, tiny_images):
    images = tiny_images[:2]
    exact = tiny_flow.clone(dtype="float64")
    assert exact.dtype_policy.name == "float64"
    assert equal_weights(exact, tiny_flow)
    score = exact(images)
    assert np.asarray(score).dtype == np.float64
    np.testing.assert_allclose(score, tiny_flow(images), rtol=1e-5)
    assert equal_weights(exact.clone(dtype="float32"), tiny_flow)
    assert tiny_flow.clone("mixed_float16").dtype_policy.name == "mixed_float16"
    with pytest.raises(ValueError, match="float32, float64, mixed_float16"):
        tiny_flow.clone(dtype="float16")


def test_another_size_where_no_weight_depends_on_it():
    flow = perturb(Glow((8, 8, 1), levels=2, steps=1, width=4), 0.05)
    large = flow.clone(image_shape=(12, 16, 1))
    assert large.image_shape == (12, 16, 1)
    assert equal_weights(large, flow)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 12, 16, 1)).astype("float32")
    latents, _ = large.traced_encode(x)
    np.testing.assert_allclose(large.traced_decode(latents), x, atol=1e-4)
    assert make_srflow().clone(image_shape=(16, 24, 3)).latent_shapes[-1][:2] == (4, 6)
    with pytest.raises(ValueError, match="divisible by 4"):
        flow.clone(image_shape=(10, 8, 1))
    with pytest.raises(ValueError, match=r"image_shape must be \(8, 8, 1\), on which weights of"):
        make_tiny_flow().clone(image_shape=(16, 16, 1))
    with pytest.raises(ValueError, match=r"image_shape must be \(height, width, channels\)"):
        flow.clone(image_shape=(8, 8))
