"""Entries of earlier versions load, and give what they gave."""

import zipfile

import numpy as np
import pytest

import zoo
from tests.golden import ARRAYS, FLOWS, FOLDER, measured

pytestmark = pytest.mark.eager


@pytest.mark.parametrize("name", FLOWS)
def test_an_entry_gives_what_it_gave_when_it_was_saved(name, tmp_path):
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as file:
        file.extractall(tmp_path)
    recorded = dict(np.load(tmp_path / ARRAYS))
    given = {key: recorded.pop(key) for key in ("image", "condition") if key in recorded}
    found = measured(zoo.load(tmp_path), given)
    assert found.keys() == recorded.keys()
    np.testing.assert_allclose(found["bits_per_dim"], recorded["bits_per_dim"], atol=1e-5)
    for key, value in recorded.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-4, err_msg=key)
