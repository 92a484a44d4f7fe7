"""Images that are a given small one when downsampled."""

import numpy as np
import pytest

from attnflow_keras.data.bicubic import bicubic_matrix
from attnflow_keras.flow.consistency import consistent


@pytest.mark.parametrize(("height", "width", "scale"), [(3, 5, 4), (8, 8, 8), (1, 2, 2)])
def test_the_reduction_is_the_small_picture(height, width, scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, scale * height, scale * width, 3))
    small = rng.normal(size=(2, height, width, 3))
    rows, columns = (bicubic_matrix(scale * side, side) for side in (height, width))

    def reduced(picture):
        return np.einsum("ih,nhwc,jw->nijc", rows, np.asarray(picture), columns)

    y = consistent(x, small, scale)
    np.testing.assert_allclose(reduced(y), small, atol=1e-12)
    # Nothing changes where all is right already, and fine detail passes.
    np.testing.assert_allclose(consistent(y, small, scale), y, atol=1e-12)
    detail = x - np.asarray(consistent(x, 0 * small, scale))
    np.testing.assert_allclose(
        consistent(y + x - detail, small, scale), np.asarray(y) + x - detail, atol=1e-11
    )
