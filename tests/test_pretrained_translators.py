"""Every label-to-photo entry with weights: what its card says, checked on real images."""

import numpy as np
import pytest

import zoo
from attnflow_keras.data import bluemarble_sample
from attnflow_keras.data.bluemarble import ICE, WATER
from tests.helpers import check_diversity, check_entry, check_odd_images, check_pixels
from zoo.registry import PRESETS

PRETRAINED = zoo.list(pretrained=True, task="label-to-photo")
TILES, CLASSES = bluemarble_sample()
BARREN = 16
FORESTS = range(1, 6)


def test_the_attentions_their_control_and_the_rivals_are_there():
    for kind in (
        "fullglow",
        "cattnflow-imap",
        "cattnflow-itrans",
        "cattnflow-causal",
        "cglow",
        "dualglow",
    ):
        assert f"{kind}-landcover-bluemarble" in PRETRAINED


@pytest.fixture(scope="module", params=PRETRAINED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def flow(name):
    return zoo.load(name)


def test_metadata_is_complete(name):
    folder = PRESETS / name
    scores = check_entry(folder)["translation"]
    assert (scores["split"], scores["items"]) == ("bluemarble_landcover test", 120)
    assert scores["bits_per_dim"]["draws"] > 1
    assert f"{scores['bits_per_dim']['value']:.4f}" in (folder / "card.md").read_text()


def test_scores_of_the_embedded_tiles_fit_the_card(name, flow):
    test = zoo.info(name)["translation"]["bits_per_dim"]
    bits = np.asarray(flow.bits_per_dim(TILES, CLASSES))
    error = bits.std(ddof=1) / np.sqrt(len(bits))
    # The sample is part of the test set: its mean is that of the whole within sampling error.
    assert abs(bits.mean() - test["value"]) < 4 * error
    # The label map says something of the photo: that of another tile makes it less probable.
    others = np.asarray(flow.bits_per_dim(TILES, np.roll(CLASSES, 1, axis=0)))
    assert others.mean() > bits.mean() + 0.05


def contrasts(photos):
    """How water, ice, desert and forest stand out, in grey levels."""
    photos = photos.astype("float64")
    red, _, blue = np.moveaxis(photos, -1, 0)
    brightness, blueness = photos.mean(axis=-1), blue - red
    water, barren, ice = (kind == CLASSES for kind in (WATER, BARREN, ICE))
    forest = np.isin(CLASSES, FORESTS)
    land = ~water & ~ice
    return {
        "water is blue": blueness[water].mean() - blueness[land].mean(),
        "ice is white": brightness[ice].mean() - brightness[land].mean(),
        "desert is red": blueness[land & ~barren].mean() - blueness[barren].mean(),
        "forest is dark": brightness[barren].mean() - brightness[forest].mean(),
    }


def test_photos_show_what_the_label_says(flow):
    drawn = contrasts(flow.sample(condition=CLASSES, temperature=0.7, seed=0))
    for name, real in contrasts(TILES).items():
        assert real > 20, name
        assert real / 2 < drawn[name] < 2 * real, name


def test_samples_of_one_label_map_differ(flow):
    check_diversity(flow, CLASSES[5:6])


def test_odd_images_come_back_where_the_card_says_so(name, flow):
    if "exactness" in zoo.info(name):
        check_odd_images(name, flow)


def test_decode_returns_every_pixel(flow):
    check_pixels(flow, TILES[:8], CLASSES[:8])


def test_transfer_to_the_own_label_changes_nothing(flow):
    photo, label = TILES[3:4], CLASSES[3:4]
    same = flow.transfer(photo, label, label)
    np.testing.assert_array_equal(same, photo)
    flooded = np.full_like(label, WATER)
    assert (flow.transfer(photo, label, flooded) != same).any()
