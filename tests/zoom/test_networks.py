"""Every network of the table at work on a photo."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import a_photo
from tests.models.test_network import CHOSEN, tiny

from anyzoom.grid import Size, Window
from anyzoom.zoom import Zoomer
from anyzoom.zoom.engine import Precision


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [name for name in CHOSEN if not name.endswith("-x")])
def test_windows_and_bands_are_parts_of_the_whole(name: str, precision: Precision) -> None:
    """Also where windows share something global, and for two sizes of one photo."""
    zoomer = Zoomer(a_photo(20, 22, dtype="float32"), tiny(name), precision=precision)
    for size in (Size(50, 47), Size(41, 66), Size(50, 47)):
        whole, window = zoomer.render(size=size), Window(5, 6, 30, 31)
        assert whole.shape == (*size, 3)
        assert whole.std() > 1e-3
        rows, columns = window.slices
        close = 1e-5 if precision == "float32" else 1e-2
        np.testing.assert_allclose(zoomer.render(size=size, window=window), whole[rows, columns], rtol=0, atol=close)
        np.testing.assert_allclose(np.concatenate(list(zoomer.bands(size))), whole, rtol=0, atol=close)
