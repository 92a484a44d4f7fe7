"""fit, evaluate and adapt as users of Keras expect them."""

import gc
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import make_plain_flow, make_tiny_flow

# What is about compiled training steps, or takes many of them, is marked so.
pytestmark = pytest.mark.eager


def compiled(flow=None, learning_rate=3e-3, **options):
    flow = flow or make_tiny_flow()
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=1.0)
    flow.compile(optimizer=optimizer, **{"jit_compile": False, **options})
    return flow


@pytest.mark.compiled
def test_fit_learns(tiny_images):
    train, held_out = tiny_images[:192], tiny_images[192:]
    flow = compiled()
    flow.adapt(train)
    before = float(np.mean(flow.bits_per_dim(held_out)))
    history = flow.fit(train, epochs=25, batch_size=32, verbose=0, validation_data=held_out)
    after = float(np.mean(flow.bits_per_dim(held_out)))
    # Real digits, unseen ones: at least one bit a dimension better.
    assert after < before - 1.0
    assert history.history["val_bits_per_dim"][-1] == pytest.approx(after, abs=1e-3)
    assert set(history.history) == {"loss", "bits_per_dim", "val_loss", "val_bits_per_dim"}


def test_evaluate_reports_bits_per_dim(tiny_flow, tiny_images):
    compiled(tiny_flow)
    result = tiny_flow.evaluate(tiny_images, verbose=0, return_dict=True)
    expected = float(np.mean(tiny_flow.bits_per_dim(tiny_images)))
    assert result["bits_per_dim"] == pytest.approx(expected, rel=1e-5)
    assert result["loss"] == pytest.approx(expected, rel=1e-5)
    x = tiny_flow.dequantize(tiny_images)
    floats = tiny_flow.evaluate(x, verbose=0, return_dict=True)
    assert floats["bits_per_dim"] == pytest.approx(expected, rel=1e-5)
    assert floats["loss"] == pytest.approx(expected - 8.0, rel=1e-4)


def test_sample_weight_counts(tiny_flow, tiny_images):
    flow = compiled(tiny_flow)
    images, weight = tiny_images[:48], np.linspace(0, 3, 48).astype("float32")
    bits = np.asarray(flow.bits_per_dim(images))
    expected = float((bits * weight).sum() / weight.sum())
    for found in (
        flow.evaluate(images, sample_weight=weight, verbose=0, return_dict=True),
        flow.evaluate({"image": images}, sample_weight=weight, verbose=0, return_dict=True),
    ):
        assert found["bits_per_dim"] == pytest.approx(expected, rel=1e-5)
    # As in Keras, weights scale the loss: it divides by the number of images.
    whole = flow.evaluate(images, sample_weight=weight, batch_size=48, verbose=0, return_dict=True)
    assert whole["loss"] == pytest.approx(float((bits * weight).mean()), rel=1e-5)


@pytest.mark.compiled
def test_sample_weight_trains(tiny_images):
    results = []
    for weighted in (False, True):
        keras.utils.set_random_seed(0)
        flow = compiled(make_tiny_flow(steps=2))
        flow.adapt(tiny_images[:32])
        if weighted:  # the second half counts for nothing
            weight = np.repeat([2.0, 0.0], 32)
            flow.fit(
                tiny_images[:64], sample_weight=weight, batch_size=64, shuffle=False, verbose=0
            )
        else:
            flow.fit(tiny_images[:64], batch_size=64, shuffle=False, verbose=0)
        results.append(float(np.mean(flow.bits_per_dim(tiny_images[:32]))))
    assert results[1] < results[0] - 1e-3


def test_validation_data_with_weights(tiny_images):
    flow = compiled()
    weight = np.arange(32.0)
    data = (tiny_images[:32], None, weight)
    history = flow.fit(tiny_images[:32], validation_data=data, verbose=0).history
    bits = np.asarray(flow.bits_per_dim(tiny_images[:32]))
    expected = (bits * weight).sum() / weight.sum()
    assert history["val_bits_per_dim"][-1] == pytest.approx(float(expected), abs=1e-4)


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.images[32 * index : 32 * (index + 1)]


@pytest.mark.parametrize("kind", ["array", "dict", "tf.data", "tf.data pair", "PyDataset"])
def test_fit_adapts_once_from_what_it_is_given(kind, tiny_images):
    images = tiny_images[:64]
    data = {
        "array": images,
        "dict": {"image": images},
        "tf.data": tf.data.Dataset.from_tensor_slices(images).batch(32),
        # Data sets of (image, label) are common; an unconditional flow ignores the label.
        "tf.data pair": tf.data.Dataset.from_tensor_slices((images, np.zeros(64))).batch(32),
        "PyDataset": Batches(images),
    }[kind]
    flow = compiled(make_plain_flow())
    calls = []
    adapt = flow.adapt
    flow.adapt = lambda batch, **k: (calls.append(1), adapt(batch, **k))
    flow.fit(data, verbose=0)
    flow.fit(data, verbose=0)
    assert len(calls) == 1
    assert flow.is_adapted


def test_fit_on_a_generator_asks_for_adapt(tiny_images):
    def generate():
        while True:
            yield (tiny_images[:32],)

    flow = compiled()
    with pytest.raises(ValueError, match=r"call flow.adapt\(batch\) first"):
        flow.fit(generate(), steps_per_epoch=2, verbose=0)
    flow.adapt(tiny_images)
    flow.fit(generate(), steps_per_epoch=2, verbose=0)


def test_adapt_normalizes_and_is_not_repeated_after_loading(tiny_images, tmp_path):
    flow = compiled(make_plain_flow())
    flow.fit(tiny_images, epochs=2, batch_size=64, verbose=0)
    flow.save_weights(tmp_path / "a.weights.h5")
    loaded = compiled(make_plain_flow())
    loaded.load_weights(tmp_path / "a.weights.h5")
    assert loaded.is_adapted
    before = [np.array(v) for v in loaded.trainable_variables]
    loaded.optimizer.learning_rate = 0.0
    loaded.fit(tiny_images[::-1], batch_size=64, verbose=0)
    for a, b in zip(before, loaded.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_adapt_gives_unit_variance_after_every_actnorm(tiny_images):
    flow = make_tiny_flow()
    flow.adapt(tiny_images, seed=0)
    x = flow.dequantize(tiny_images, seed=0)
    squeezed = flow.level_1.squeeze(x)[0]
    normed = np.asarray(flow.level_1.step_1.actnorm(squeezed)[0])
    np.testing.assert_allclose(normed.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(normed.std(axis=(0, 1, 2)), 1, atol=1e-4)


def test_noise_in_fit_depends_on_seed_and_step_alone(tiny_images):
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        flow = compiled(make_plain_flow())
        flow.fit(tiny_images, batch_size=64, epochs=2, shuffle=False, verbose=0)
        keras.random.normal((5,))  # global generators must not matter
        flow.fit(tiny_images, batch_size=64, epochs=1, shuffle=False, verbose=0)
        runs.append(flow.get_weights())
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.compiled
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_fit_in_mixed_precision(policy, tiny_images):
    flow = compiled(make_tiny_flow(dtype=policy))
    scaled = type(flow.optimizer).__name__ == "LossScaleOptimizer"
    assert scaled == (policy == "mixed_float16")
    flow.adapt(tiny_images)
    before = float(np.mean(flow.bits_per_dim(tiny_images)))
    flow.fit(tiny_images, epochs=8, batch_size=32, verbose=0)
    assert float(np.mean(flow.bits_per_dim(tiny_images))) < before - 0.2
    assert all(v.dtype == "float32" for v in flow.trainable_variables)


@pytest.mark.compiled
def test_fit_with_xla_agrees(tiny_images):
    losses = []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        flow = compiled(make_tiny_flow(levels=1), jit_compile=jit)
        history = flow.fit(tiny_images, batch_size=64, epochs=2, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_nan_in_the_data_is_refused(tiny_images):
    flow = compiled()
    x = flow.dequantize(tiny_images)
    x[3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="images must be finite"):
        flow.fit(x, verbose=0)


def test_fit_stops_on_nan(tiny_flow, tiny_images):
    compiled(tiny_flow, learning_rate=1e30)
    history = tiny_flow.fit(tiny_images, epochs=50, batch_size=32, verbose=0)
    assert len(history.history["loss"]) < 50


@pytest.mark.compiled
def test_memory_is_flat_over_200_steps(tiny_flow, tiny_images):
    compiled(tiny_flow)
    data = tf.data.Dataset.from_tensor_slices(tiny_images[:32]).repeat().batch(8)

    def run(steps):
        tiny_flow.fit(data, steps_per_epoch=steps, verbose=0)
        for _ in range(5):
            tiny_flow.log_prob(tiny_images[:8])
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    run(20)
    start = run(20)
    # A leak of one batch of activations a step would show as hundreds of MB.
    assert run(200) - start < 30_000  # KiB


def test_callbacks_and_ema_are_plain_keras(tiny_flow, tiny_images, tmp_path):
    optimizer = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9)
    tiny_flow.compile(optimizer=optimizer, jit_compile=False)
    log = tmp_path / "log.csv"
    tiny_flow.fit(
        tiny_images,
        epochs=2,
        batch_size=64,
        verbose=0,
        validation_data=tiny_images[:64],
        callbacks=[
            keras.callbacks.CSVLogger(log),
            keras.callbacks.SwapEMAWeights(),
            keras.callbacks.EarlyStopping("val_bits_per_dim", mode="min"),
        ],
    )
    header, *rows = log.read_text().splitlines()
    assert header == "epoch,bits_per_dim,loss,val_bits_per_dim,val_loss"
    assert len(rows) == 2
