"""The methods of ImageModel on a Keras flow and on its export: the same errors."""

import numpy as np
import pytest

# Of the unconditional pair: X are float images (2, 8, 8, 1).
X = np.zeros((2, 8, 8, 1), "float32")
U = np.zeros((2, 8, 8, 1), "uint8")
LATENTS = [np.zeros((2, 4, 4, 2), "float32"), np.zeros((2, 2, 2, 8), "float32")]
NO_IMAGES = "float images must lie in"

BAD = {
    "encode uint8": (lambda m: m.encode(U), r"convert uint8 images with dequantize\(images\)"),
    "encode one image": (lambda m: m.encode(X[0]), r"x must have shape \(n, 8, 8, 1\); got \(8, "),
    "encode channels": (lambda m: m.encode(np.zeros((2, 8, 8, 3), "float32")), "x must have shape"),
    "encode integers": (lambda m: m.encode(X.astype("int32")), "must be uint8 .* got dtype int32"),
    "encode levels": (lambda m: m.encode(255 + X), rf"x: {NO_IMAGES} \[-0.5, 0.5\]"),
    "encode 0 to 1": (lambda m: m.encode(X + np.float32(0.9)), f"x: {NO_IMAGES}"),
    "encode NaN": (lambda m: m.encode(X + np.nan), "x must be finite; got NaN or Inf"),
    "encode text": (lambda m: m.encode("a"), "images must be uint8 .* got dtype"),
    "encode batch": (lambda m: m.encode(X, batch_size=2.0), "batch_size must be an integer"),
    "encode condition": (lambda m: m.encode(X, condition=X), "this flow is unconditional"),
    "dequantize floats": (lambda m: m.dequantize(X), "takes uint8 images; got dtype float32"),
    "dequantize size": (lambda m: m.dequantize(U[:, :4]), r"images must have shape \(n, 8, 8, 1\)"),
    "dequantize none": (lambda m: m.dequantize(U[:0]), "images holds no image; got shape"),
    "dequantize seed": (lambda m: m.dequantize(U, seed=-3), "seed must be an integer of at least"),
    "to_uint8 of uint8": (lambda m: m.to_uint8(U), "to_uint8 takes float images"),
    "to_uint8 of NaN": (lambda m: m.to_uint8(X + np.nan), "x must be finite; got NaN or Inf"),
    "to_uint8 size": (lambda m: m.to_uint8(X[:, :4]), r"x must have shape \(n, 8, 8, 1\)"),
    "log_prob 0 to 1": (lambda m: m.log_prob(X + np.float32(0.9)), f"images: {NO_IMAGES}"),
    "log_prob none": (lambda m: m.log_prob(X[:0]), "images holds no image"),
    "log_prob integers": (lambda m: m.log_prob(X.astype("int64")), "images must be uint8"),
    "log_prob NaN": (lambda m: m.log_prob(X + np.nan), "images must be finite"),
    "log_prob shape": (lambda m: m.log_prob(X[..., 0]), "images must have shape"),
    "log_prob dict": (lambda m: m.log_prob({"image": U}), "must be an array; got a dict"),
    "bits range": (lambda m: m.bits_per_dim(X + 0.9), f"images: {NO_IMAGES}"),
    "bits -1 to 1": (
        lambda m: m.bits_per_dim(np.linspace(-1, 1, 128).reshape(2, 8, 8, 1)),
        f"images: {NO_IMAGES}",
    ),
    "bits size": (lambda m: m.bits_per_dim(np.zeros((2, 9, 8, 1), "uint8")), r"1\); got \(2, 9"),
    "bits one image": (lambda m: m.bits_per_dim(U[0]), r"images must have shape .*; got \(8, 8, 1"),
    "bits none": (lambda m: m.bits_per_dim(U[:0]), "images holds no image"),
    "bits integers": (lambda m: m.bits_per_dim(U.astype("int64")), "uint8 .* got dtype int64"),
    "bits batch": (lambda m: m.bits_per_dim(X, batch_size=0), "batch_size must be an .*; got 0"),
    "bits seed": (lambda m: m.bits_per_dim(U, seed=-3), "seed must be"),
    "decode images": (lambda m: m.decode(X), "latents must be a tuple of 2 arrays .*; got 1"),
    "decode one": (lambda m: m.decode(LATENTS[:1]), "latents must be a tuple of 2 arrays"),
    "decode shape": (lambda m: m.decode([X, X]), r"latents\[0\] must have shape \(n, 4, 4, 2\)"),
    "decode order": (lambda m: m.decode(LATENTS[::-1]), r"latents\[0\] must have shape"),
    "decode counts": (
        lambda m: m.decode([LATENTS[0], np.zeros((3, 2, 2, 8))]),
        r"same number of images each; got \[2, 3\]",
    ),
    "decode integers": (
        lambda m: m.decode([z.astype(int) for z in LATENTS]),
        r"latents\[0\] must hold floats; got dtype int64",
    ),
    "decode Inf": (
        lambda m: m.decode([LATENTS[0], LATENTS[1] + np.inf]),
        r"latents\[1\] must be finite",
    ),
    "decode huge": (
        lambda m: m.decode([LATENTS[0] + np.float64(1e39), LATENTS[1]]),
        r"latents\[0\] must fit float32; got float64 from 1e\+39",
    ),
    "sample 0": (lambda m: m.sample(0), "n must be an integer of at least 1; got 0"),
    "sample 2.5": (lambda m: m.sample(2.5), "n must be an integer of at least 1; got 2.5"),
    "sample text": (lambda m: m.sample("3"), "n must be an integer of at least 1; got '3'"),
    "sample array": (lambda m: m.sample(X), "n must be a number of images; got an array"),
    "sample warm": (
        lambda m: m.sample(1, temperature="warm"),
        "must be .*; got 'warm'",
    ),
    "sample below": (lambda m: m.sample(1, temperature=-0.1), "temperature must be .*; got -0.1"),
    "sample NaN": (lambda m: m.sample(1, temperature=float("nan")), "temperature must be"),
    "sample seed": (lambda m: m.sample(1, seed=1.5), "seed must be an integer"),
    "sample seed -1": (lambda m: m.sample(1, seed=-1), "seed must be an integer of at least 0"),
    "sample batch": (lambda m: m.sample(1, batch_size=0), "batch_size must be .*; got 0"),
    "sample condition": (
        lambda m: m.sample(1, condition=np.zeros(3)),
        "condition was given, but this flow is unconditional",
    ),
    "interpolate shapes": (lambda m: m.interpolate(U, U[:1]), "a and b must have the same shape"),
    "interpolate floats": (lambda m: m.interpolate(X, X), "a must be uint8 .*; got dtype float32"),
    "interpolate steps": (lambda m: m.interpolate(U, U, steps=1), "steps must be .* at least 2"),
    "transfer": (lambda m: m.transfer(U, U, U), "this flow is unconditional"),
    "restore": (lambda m: m.restore(U[0]), "restore needs a flow for super-resolution"),
    "translate": (lambda m: m.translate(U[0]), "translate needs a flow for label to photo"),
}

SMALL_ONE = np.zeros((4, 4, 3), "uint8")
PICTURES = np.zeros((2, 16, 16, 3), "uint8")
BAD_RESTORING = {
    "missing": (lambda m: m.bits_per_dim(PICTURES), "condition is missing; expected uint8 low"),
    "channels": (
        lambda m: m.sample(condition=np.zeros((1, 4, 4, 1), "uint8")),
        r"condition must be uint8 low-resolution images of shape \(n, .*; got shape \(1, 4, 4, 1\)",
    ),
    "dtype": (
        lambda m: m.sample(condition=np.zeros((1, 4, 4, 3), "float32")),
        r"condition must be uint8 low-resolution images .*; got float32",
    ),
    "none": (
        lambda m: m.sample(condition=np.zeros((0, 4, 4, 3), "uint8")),
        r"condition holds no image; got shape \(0, 4, 4, 3\)",
    ),
    "count": (
        lambda m: m.bits_per_dim(np.zeros((3, 16, 16, 3), "uint8"), PICTURES[:, ::4, ::4]),
        "condition must be one for each of 3 images, or one; got 2",
    ),
    "n": (
        lambda m: m.sample(3, condition=PICTURES[:, ::4, ::4]),
        "n must be the number of conditions, 2, .*n=3",
    ),
    "batch": (
        lambda m: m.restore(PICTURES),
        r"picture must be one low-resolution image, uint8 \(h, w, 3\).*takes several at once",
    ),
    "floats": (lambda m: m.restore(SMALL_ONE / 2), "picture must be .*; got float64"),
    "restore n": (lambda m: m.restore(SMALL_ONE, 0), "n must be an integer of at least 1; got 0"),
    "tile": (lambda m: m.restore(SMALL_ONE, tile="a"), "tile must be"),
    "overlap": (
        lambda m: m.restore(PICTURES[0], tile=4, overlap=3),
        "overlap must be at most half of tile=4; got 3",
    ),
    "negative": (
        lambda m: m.restore(PICTURES[0], tile=4, overlap=-1),
        "overlap must be an integer of at least 0; got -1",
    ),
    "cold": (
        lambda m: m.restore(PICTURES[0], tile=4, temperature=-1.0),
        "temperature must be a number of at least 0; got -1.0",
    ),
    "translate": (lambda m: m.translate(SMALL_ONE), "translate needs a flow for label to photo"),
}

PHOTOS = np.zeros((2, 4, 4, 3), "uint8")
MAPS = np.zeros((2, 4, 4), "int64")
BAD_TRANSLATING = {
    "missing": (
        lambda m: m.sample(2),
        r"condition is missing; expected classes of shape \(n, 4",
    ),
    "class": (
        lambda m: m.bits_per_dim(PHOTOS, MAPS + 7),
        "condition must hold classes 0 to 2; got 7 to 7",
    ),
    "size": (
        lambda m: m.bits_per_dim(PHOTOS, MAPS[:, :2]),
        r"condition must be classes of shape \(n, 4, 4\) or colours .*; got shape \(2, 2, 4\)",
    ),
    "floats": (
        lambda m: m.sample(condition=MAPS / 2),
        "condition must be integers, classes 0 to 2; got float64",
    ),
    "float colours": (lambda m: m.sample(condition=PHOTOS / 2), "must be uint8; got float64"),
    "colour": (
        lambda m: m.sample(condition=PHOTOS + np.uint8(7)),
        r"condition must hold colours of the palette; .* \(7, 7, 7\) at",
    ),
    "none": (lambda m: m.sample(condition=MAPS[:0]), "condition holds no label map; got shape"),
    "count": (
        lambda m: m.transfer(PHOTOS, MAPS, np.concatenate([MAPS, MAPS])),
        "condition must be one for each of 2 images, or one; got 4",
    ),
    "rank": (lambda m: m.translate(MAPS[0, 0]), "label must be one label map"),
    "translate n": (lambda m: m.translate(MAPS[0], 0), "n must be an integer of at least 1"),
    "translate class": (lambda m: m.translate(MAPS[0] + 9), "classes 0 to 2; got 9 to 9"),
    "restore": (lambda m: m.restore(PHOTOS[0]), "restore needs a flow for super-resolution"),
}

BAD_CLASSES = {
    "class": (
        lambda m: m.bits_per_dim(PHOTOS, np.array([3, 0])),
        "condition must hold classes 0 to 2; got 0 to 3",
    ),
    "shape": (
        lambda m: m.bits_per_dim(PHOTOS, np.zeros((2, 1), "int32")),
        "condition must be classes, integers of shape",
    ),
    "floats": (lambda m: m.sample(condition=np.zeros(2)), "condition must be classes, integers"),
    "missing": (lambda m: m.sample(), "condition is missing; expected classes 0 to 2"),
}

ERRORS = [
    pytest.param(kind, call, message, id=f"{kind}: {name}")
    for kind, cases in (
        ("unconditional", BAD),
        ("super-resolution", BAD_RESTORING),
        ("label to photo", BAD_TRANSLATING),
        ("classes", BAD_CLASSES),
    )
    for name, (call, message) in cases.items()
]


@pytest.mark.parametrize(("kind", "call", "message"), ERRORS)
def test_both_give_the_same_error(make_pair, kind, call, message):
    pair, said = make_pair(kind), []
    for model in pair.models:
        with pytest.raises(ValueError, match=message) as error:
            call(model)
        assert "\n" not in str(error.value)
        assert "onnx" not in str(error.value)
        said.append(str(error.value))
    # What a model of any size expects of low-resolution images is named by letters.
    assert said[0].replace("(n, h, w, 3)", "(n, 4, 4, 3)") == said[1]


def test_images_that_are_not_finite_are_no_pictures(make_pair, monkeypatch):
    pair = make_pair("unconditional")
    for one in pair.models:
        monkeypatch.setattr(one, "decode", lambda *arguments: X + np.nan)
        for as_float in (False, True):
            with pytest.raises(ValueError, match="temperature=0.9 gave images that are not finite"):
                one.sample(2, temperature=0.9, as_float=as_float)


def test_encode_says_when_an_image_does_not_come_back(make_pair, monkeypatch):
    pair = make_pair("unconditional")
    x = pair.flow.dequantize(pair.images[:3], center=True)
    for one in pair.models:
        decode = one.decode
        monkeypatch.setattr(one, "decode", lambda *a, f=decode: np.asarray(f(*a)) + 0.7 / 256)
        with pytest.raises(ValueError, match="it does not for 3 of 3"):
            one.encode(x, check=True)
        one.encode(x)
