"""Every super-resolution entry with weights: what its card says, checked on real images."""

import numpy as np
import pytest

import zoo
from attnflow_keras.data import bluemarble_sample, downscale, upscale
from attnflow_keras.metrics import lr_psnr, psnr
from tests.helpers import check_diversity, check_entry, check_odd_images, check_pixels
from zoo.registry import PRESETS

PRETRAINED = zoo.list(pretrained=True, task="super-resolution")
TILES = bluemarble_sample()[0]
SMALL = downscale(TILES, 8)


def test_the_attentions_and_their_control_are_there():
    for kind in ("srflow", "cattnflow-imap", "cattnflow-itrans"):
        assert f"{kind}-sr8-bluemarble" in PRETRAINED


@pytest.fixture(scope="module", params=PRETRAINED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def flow(name):
    return zoo.load(name)


def test_metadata_is_complete(name):
    folder = PRESETS / name
    scores = check_entry(folder)["restoration"]
    assert (scores["split"], scores["items"]) == ("bluemarble_sr8 test", 120)
    assert f"{scores['bits_per_dim']['value']:.4f}" in (folder / "card.md").read_text()
    assert (folder / "encoder-curve.csv").exists()
    assert (folder / "mode-curve.csv").exists()


def test_scores_of_the_embedded_tiles_fit_the_card(name, flow):
    test = zoo.info(name)["restoration"]
    bits = np.asarray(flow.bits_per_dim(TILES, SMALL))
    error = bits.std(ddof=1) / np.sqrt(len(bits))
    # The sample is part of the test set: its mean is that of the whole within sampling error.
    assert abs(bits.mean() - test["bits_per_dim"]["value"]) < 4 * error
    # The condition matters.
    others = np.asarray(flow.bits_per_dim(TILES, np.roll(SMALL, 1, axis=0)))
    assert others.mean() > bits.mean() + 0.5


def test_restorations_are_closer_than_bicubic_and_keep_the_small_picture(flow):
    likely = flow.sample(condition=SMALL, temperature=0.0)
    drawn = flow.sample(condition=SMALL, temperature=0.8, seed=0)
    bicubic = upscale(SMALL, 8)
    assert psnr(likely, TILES).mean() > psnr(bicubic, TILES).mean()
    for restored in (likely, drawn):
        assert lr_psnr(restored, SMALL).mean() > max(40.0, lr_psnr(bicubic, SMALL).mean())
    # The encoder's own restoration is the low-resolution image when made small, up to rounding.
    assert lr_psnr(flow.regress(SMALL), SMALL).min() > 40


def test_colors_that_the_earth_has_not_are_kept(flow):
    corners = np.array([(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)], "uint8")
    flat = np.broadcast_to(corners[:, None, None], (8, 8, 8, 3)).copy()
    for temperature in (0.0, 0.8):
        restored = flow.sample(condition=flat, temperature=temperature, seed=0).astype("float64")
        error = np.abs(restored - corners[:, None, None]).mean(axis=(1, 2, 3))
        assert error.max() < 6, dict(zip(map(tuple, corners), error, strict=True))


def test_samples_of_one_picture_differ(flow):
    check_diversity(flow, SMALL[5:6])


def test_odd_images_come_back_where_the_card_says_so(name, flow):
    if "exactness" in zoo.info(name):
        check_odd_images(name, flow)


def test_decode_returns_every_pixel(flow):
    check_pixels(flow, TILES[:8], SMALL[:8])
