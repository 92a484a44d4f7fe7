"""Every batch of every data source is checked, and the error is the one that arrays get."""

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import make_plain_flow
from tests.model_table import make_dualglow
from tests.test_flow_errors import CONDITION, IMAGES, ConditionalFlow
from tests.test_label_flows import pairs

WITHIN = r"images: float images must lie in \[-0.5, 0.5\]; got values from 0 to 1"
CLASSES = r"condition must hold classes 0 to 2; got -?\d+ to \d+"


class Batches(keras.utils.PyDataset):
    def __init__(self, batches, **options):
        super().__init__(**options)
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def data_set(batches):
    def parts():
        yield from batches

    spec = keras.tree.map_structure(
        lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), batches[0]
    )
    return tf.data.Dataset.from_generator(parts, output_signature=spec)


def generator(batches):
    yield from batches


SOURCES = {
    "tf.data": data_set,
    "PyDataset": Batches,
    "PyDataset with workers": lambda batches: Batches(batches, workers=2),
    "generator": generator,
}


@pytest.fixture(scope="module")
def flow(tiny_images):
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    flow.compile(keras.optimizers.SGD(1e-4), jit_compile=False)
    return flow


@pytest.fixture(scope="module")
def batches(tiny_images, flow):
    """Three good batches of float images, and one that is scaled to [0, 1]."""
    good = [flow.dequantize(tiny_images[i : i + 8]) for i in (0, 8, 16)]
    wrong = (tiny_images[24:32] / 255).astype("float32")
    return [(x,) for x in (*good, wrong)]


def raises(message, call):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_wrong_batch_late_in_a_source(flow, batches, kind):
    make = SOURCES[kind]
    raises(WITHIN, lambda: flow.fit(make(batches), verbose=0))
    raises(WITHIN, lambda: flow.evaluate(make(batches), verbose=0))
    raises(WITHIN, lambda: flow.predict(make(batches), verbose=0))
    good = make(batches[:3])
    raises(WITHIN, lambda: flow.fit(good, validation_data=make(batches), verbose=0))
    assert np.isfinite(flow.evaluate(make(batches[:3]), verbose=0)).all()


@pytest.mark.parametrize("kind", [k for k in SOURCES if k != "tf.data"])
def test_batches_of_two_dtypes(flow, batches, tiny_images, kind):
    mixed = [*batches[:2], (tiny_images[:8],)]
    message = "x must give batches of the same dtypes; got float32 first, uint8 later"
    raises(message, lambda: flow.evaluate(SOURCES[kind](mixed), verbose=0))


def test_a_wrong_batch_that_is_not_asked_for(flow, batches):
    for make in (data_set, Batches, generator):
        expected = flow.predict(batches[0][0], verbose=0)
        found = flow.predict(make([batches[0], batches[1], batches[-1]]), steps=2, verbose=0)
        np.testing.assert_allclose(found[:8], expected, rtol=1e-5)
        assert len(found) == 16
        flow.evaluate(make([batches[0], batches[1], batches[-1]]), steps=2, verbose=0)
        short = make([batches[0], batches[1], batches[-1]])
        raises(WITHIN, lambda short=short: flow.predict(short, steps=3, verbose=0))


def test_nothing_is_done_after_the_wrong_batch(flow, batches):
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append("epoch"))
    for make in SOURCES.values():
        options = {"validation_data": make(batches[:1]), "callbacks": [callback], "verbose": 0}
        raises(WITHIN, lambda make=make, options=options: flow.fit(make(batches), **options))
    assert not seen


def test_the_number_of_steps_is_still_known(flow, batches):
    seen = []
    callback = keras.callbacks.LambdaCallback()
    callback.on_train_begin = lambda logs: seen.append(callback.params["steps"])
    for make in (lambda b: tf.data.Dataset.from_tensor_slices(b[0][0]).batch(4), Batches):
        flow.fit(make(batches[:3]), verbose=0, callbacks=[callback])
    assert seen == [2, 3]


def test_single_batches_and_arrays(flow, batches):
    wrong = batches[-1][0]
    for call in (
        flow,
        flow.predict_on_batch,
        flow.test_on_batch,
        flow.train_on_batch,
        lambda x: flow.predict(x, verbose=0),
        lambda x: flow.fit(tf.constant(x), verbose=0),
        lambda x: flow.fit(batches[0][0], validation_data=(x,), verbose=0),
        lambda x: flow(tf.constant(x)),
    ):
        raises(WITHIN.replace("images:", "images?:"), lambda call=call: call(wrong))
    raises("float images must lie in .* got values from 0 to 255", lambda: flow(255 * wrong))
    weight = -np.ones(8)
    raises("sample_weight must hold", lambda: flow.train_on_batch(batches[0][0], None, weight))
    weighted = data_set([(batches[0][0], np.zeros(8), weight.astype("float32"))])
    raises("sample_weight must hold", lambda: flow.evaluate(weighted, verbose=0))


def test_classes_beyond_the_palette():
    flow = make_dualglow(levels=1)
    images, labels = pairs(flow, 12)
    flow.adapt({"image": images, "condition": labels})
    for jit, wrong in ((True, 255), (False, -1)):
        bad = labels.astype("int32")
        bad[9, 0, 0] = wrong
        flow.compile(keras.optimizers.SGD(1e-4), jit_compile=jit)
        data = tf.data.Dataset.from_tensor_slices(({"image": images, "condition": bad},)).batch(4)
        raises(CLASSES, lambda data=data: flow.evaluate(data, verbose=0))
    one_channel = [({"image": images[:4], "condition": bad[:4, ..., None]},)]
    message = r"condition must be classes of shape .* got shape \(None, 12, 20, 1\)"
    raises(message, lambda: flow.evaluate(data_set(one_channel), verbose=0))
    raises(CLASSES, lambda: flow({"image": images, "condition": bad}))
    raises(CLASSES, lambda: flow.predict_on_batch({"image": images, "condition": bad}))


def test_conditional_sources_pass_unchanged():
    flow = ConditionalFlow()
    whole = {"image": IMAGES, "condition": CONDITION}
    flow.adapt(whole)
    flow.compile(keras.optimizers.SGD(1e-4), jit_compile=False)
    expected = flow.predict(flow_floats(flow, whole), verbose=0)
    parts = [
        (keras.tree.map_structure(lambda a, i=i: a[i : i + 3], flow_floats(flow, whole)),)
        for i in (0, 3)
    ]
    for make in (data_set, generator, Batches):
        np.testing.assert_allclose(flow.predict(make(parts), verbose=0), expected, rtol=1e-5)
    tuples = tf.data.Dataset.from_tensor_slices(((IMAGES, CONDITION),)).batch(3)
    assert np.isfinite(flow.evaluate(tuples, verbose=0)).all()


def flow_floats(flow, whole):
    return {**whole, "image": flow.dequantize(whole["image"])}


def test_a_generator_of_plain_arrays(flow, tiny_images):
    batches = (tiny_images[i : i + 8] for i in (0, 8))
    assert np.isfinite(flow.evaluate(batches, verbose=0)).all()


def test_image_dataset_from_directory(flow, tiny_images, tmp_path):
    from PIL import Image

    for i, image in enumerate(tiny_images[:12]):
        folder = tmp_path / str(i % 2)
        folder.mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    for labels in ("inferred", None):
        data = keras.utils.image_dataset_from_directory(
            tmp_path,
            labels=labels,
            color_mode="grayscale",
            image_size=(8, 8),
            batch_size=4,
            shuffle=False,
            verbose=False,
        )
        message = "got values from 0 to 255. Pass grey levels as uint8"
        raises(message, lambda data=data: flow.fit(data, verbose=0))
        # The line of the README.
        data = data.map(lambda x, *labels: tf.cast(tf.round(x), "uint8"))
        scores = flow.evaluate(data, verbose=0, return_dict=True)
        assert scores["bits_per_dim"] == pytest.approx(
            float(np.mean(flow.bits_per_dim(tiny_images[:12]))), rel=0.02
        )


def test_weights_are_explained(flow, tiny_images, capsys):
    flow.evaluate(tiny_images[:8], sample_weight=np.ones(8), verbose=2)
    assert "loss is divided by the number of images" in capsys.readouterr().out
    flow.evaluate(tiny_images[:8], sample_weight=np.ones(8), verbose=0)
    assert not capsys.readouterr().out


def test_symbolic_weights_train(flow, tiny_images):
    x, weight = tiny_images[:16], np.ones(16, "float32")
    slices = tf.data.Dataset.from_tensor_slices
    for data in ((x, np.zeros(16), weight), {"image": x, "weight": weight}):
        data = slices(data).batch(8, drop_remainder=True)
        flow.fit(data, verbose=0)
        assert np.isfinite(flow.evaluate(data, verbose=0)).all()
    wrong = slices((x, np.zeros(16), np.ones((16, 2)))).batch(8, drop_remainder=True)
    raises(r"sample_weight must have shape \(8,\)", lambda: flow.fit(wrong, verbose=0))


def test_positional_arguments(flow, tiny_images):
    x, weight = tiny_images[:16], np.linspace(0, 1, 16)
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(1))
    flow.fit(x, None, 8, 2, 0, [callback], 0.0, (x[:8],))
    assert len(seen) == 2
    expected = flow.evaluate(x, batch_size=8, verbose=0, sample_weight=weight)
    assert flow.evaluate(x, None, 8, 0, weight) == pytest.approx(expected)
    raises("class_weight", lambda: flow.fit(x, None, 8, 1, 0, None, 0.0, None, True, {0: 1.0}))
    assert flow.predict(x, 8, 0).shape == (16,)


def test_data_sets_without_static_shapes(flow, tiny_images):
    def loose(batches, shape):
        return tf.data.Dataset.from_generator(
            lambda: iter(batches), output_signature=tf.TensorSpec(shape, batches[0].dtype)
        )

    good = [tiny_images[:8], tiny_images[8:16]]
    for shape in (None, (None, None, None, 1)):
        data = loose(good, shape)
        flow.fit(data, validation_data=data, verbose=0)
        assert flow.predict(data, verbose=0).shape == (16,)
        wrong = loose([good[0], good[1][:, :4]], shape)
        message = r"images must have shape \(n, 8, 8, 1\); got \(8, 4, 8, 1\)"
        raises(message, lambda wrong=wrong: flow.fit(wrong, verbose=0))
    weighted = loose(good, None).map(lambda x: (x, 0, tf.py_function(tf.ones, [8], "float32")))
    assert np.isfinite(flow.evaluate(weighted, verbose=0)).all()


def test_conditions_without_static_shapes():
    model = make_dualglow(levels=1)
    images, labels = pairs(model, 4)
    model.adapt({"image": images, "condition": labels})
    model.compile(keras.optimizers.SGD(1e-4), jit_compile=False)
    for shape in (None, (None, None, None)):
        spec = {
            "image": tf.TensorSpec(None, images.dtype),
            "condition": tf.TensorSpec(shape, labels.dtype),
        }
        data = tf.data.Dataset.from_generator(
            lambda: iter([{"image": images, "condition": labels}]), output_signature=spec
        )
        raises("condition .*tf.ensure_shape", lambda data=data: model.fit(data, verbose=0))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_batches_of_worker_processes(flow, batches, method, monkeypatch):
    context = multiprocessing.get_context(method)
    executor = functools.partial(ProcessPoolExecutor, mp_context=context)
    monkeypatch.setattr("attnflow_keras.flow.checked_pydataset.ProcessPoolExecutor", executor)
    options = {"workers": 1 if method == "spawn" else 2, "use_multiprocessing": True}
    raises(WITHIN, lambda: flow.predict(Batches(batches, **options), verbose=0))
    if method == "spawn":
        return  # each start of these processes takes seconds
    good = Batches(batches[:3], **options)
    flow.fit(good, epochs=2, validation_data=good, verbose=0)
    expected = flow.predict(Batches(batches[:3]), verbose=0)
    np.testing.assert_allclose(flow.predict(good, verbose=0), expected, rtol=1e-6)


def test_distributed_data_sets_are_refused(flow, tiny_images):
    data = tf.data.Dataset.from_tensor_slices(tiny_images[:8]).batch(4)
    shared = tf.distribute.MirroredStrategy(["CPU:0"]).experimental_distribute_dataset(data)
    message = "x must be the plain data set"
    raises(message, lambda: flow.fit(shared, verbose=0))
    raises(message, lambda: flow.evaluate(shared, verbose=0))
    raises(message, lambda: flow.fit(data, validation_data=shared, verbose=0))
