"""Every super-resolution entry with weights: what its card says, checked on real images."""

import numpy as np
import pytest

import zoo
from attnflow_keras.data import data_set, upscale
from attnflow_keras.metrics import lr_psnr, pixel_diversity, psnr
from tests.helpers import check_entry, check_odd_images
from zoo.registry import PRESETS

PRETRAINED = zoo.list(pretrained=True, task="super-resolution")


def test_the_attentions_and_their_control_are_there():
    for kind in ("srflow", "cattnflow-imap", "cattnflow-itrans", "cattnflow-causal"):
        assert f"{kind}-sr8-bluemarble" in PRETRAINED


@pytest.fixture(scope="module", params=PRETRAINED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def flow(name):
    return zoo.load(name)


@pytest.fixture(scope="module")
def pairs(name):
    """Some test tiles, and their low-resolution images."""
    found = data_set(zoo.info(name)["dataset"]).bundled()
    return found["image"], found["condition"]


@pytest.fixture
def scale(flow):
    """The factor of super-resolution."""
    return flow.get_config()["scale"]


@pytest.fixture
def residual(flow):
    """Whether the flow models the difference to an encoder's restoration."""
    return flow.get_config().get("residual", False)


def test_metadata_is_complete(name, residual):
    folder = PRESETS / name
    scores = check_entry(folder)["restoration"]
    expected = {"bluemarble_sr8": 120, "photos_sr4": 283}
    (dataset, items) = next(item for item in expected.items() if item[0] in scores["split"])
    assert (scores["split"], scores["items"]) == (f"{dataset} test", items)
    assert f"{scores['bits_per_dim']['value']:.4f}" in (folder / "card.md").read_text()
    last = [folder / f"{kind}-curve.csv" for kind in ("mode", "zero-latent")]
    assert (folder / "encoder-curve.csv").exists() == residual
    assert any(path.exists() for path in last) == residual


def test_scores_of_the_embedded_tiles_fit_the_card(name, flow, pairs):
    tiles, small = pairs
    test = zoo.info(name)["restoration"]
    bits = np.asarray(flow.bits_per_dim(tiles, small))
    error = bits.std(ddof=1) / np.sqrt(len(bits))
    # The sample is part of the test set: its mean is that of the whole within sampling error.
    assert abs(bits.mean() - test["bits_per_dim"]["value"]) < 4 * error
    # The condition matters.
    others = np.asarray(flow.bits_per_dim(tiles, np.roll(small, 1, axis=0)))
    assert others.mean() > bits.mean() + 0.5


def finite_mean(images, small):
    """The mean LR-PSNR, where that of an image without contrast is infinite."""
    return np.minimum(lr_psnr(images, small), 80.0).mean()


def test_restorations_are_closer_than_bicubic_and_keep_the_small_picture(
    flow, pairs, scale, residual
):
    tiles, small = pairs
    likely = flow.sample(condition=small, temperature=0.0)
    drawn = flow.sample(condition=small, temperature=0.8, seed=0)
    bicubic = upscale(small, scale)
    assert psnr(likely, tiles).mean() > psnr(bicubic, tiles).mean()
    if not residual:
        for restored in (likely, drawn):
            assert lr_psnr(restored, small).mean() > 38.0
        return
    for restored in (likely, drawn):
        assert finite_mean(restored, small) > max(40.0, finite_mean(bicubic, small))
    # The encoder's own restoration is the low-resolution image when made small, up to rounding.
    assert lr_psnr(flow.regress(small), small).min() > 40


def test_colors_that_the_earth_has_not_are_kept(name, flow, scale):
    if zoo.info(name)["training"]["recipe"]["augment"] != "recolor":
        pytest.skip("the entry saw no other colours in training")
    corners = np.array([(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)], "uint8")
    side = 64 // scale
    flat = np.broadcast_to(corners[:, None, None], (8, side, side, 3)).copy()
    for temperature in (0.0, 0.8):
        restored = flow.sample(condition=flat, temperature=temperature, seed=0).astype("float64")
        error = np.abs(restored - corners[:, None, None]).mean(axis=(1, 2, 3))
        assert error.max() < 6, dict(zip(map(tuple, corners), error, strict=True))


def test_samples_of_one_picture_differ(flow, pairs):
    one = pairs[1][5:6]
    drawn = flow.sample(8, one, temperature=0.9, seed=0)
    assert pixel_diversity(drawn[None])[0] > 2
    again = flow.sample(8, one, temperature=0.9, seed=0)
    np.testing.assert_array_equal(drawn, again)


def test_odd_images_come_back_where_the_card_says_so(name, flow):
    if "exactness" in zoo.info(name):
        check_odd_images(name, flow)


def test_decode_returns_every_pixel(flow, pairs):
    tiles, small = (part[:8] for part in pairs)
    x = flow.dequantize(tiles, center=True)
    latents, _ = flow.encode(x, small)
    back = np.asarray(flow.decode([np.array(z) for z in latents], small))
    np.testing.assert_array_equal(flow.to_uint8(back), tiles)
