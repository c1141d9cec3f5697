"""How large the result is, in numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyzoom.errors import ScaleError
from anyzoom.grid import Size
from anyzoom.zoom import Request

PHOTO = Size(300, 400)


@pytest.mark.parametrize(
    ("request_", "height", "width"),
    [
        (Request(), 600, 800),
        (Request(scale=1), 300, 400),
        (Request(scale=1.03), 309, 412),
        (Request(scale=3.7), 1110, 1480),
        (Request(scale=(2, 1.5)), 600, 600),
        (Request(scale=1.00125), 300, 401),  # 300.375 and 400.5, rounded half up
        (Request(size=Size(300, 4000)), 300, 4000),
        (Request(width=1000), 750, 1000),
        (Request(width=401), 301, 401),  # 300.75
        (Request(height=1000), 1000, 1333),
        (Request(fit=Size(1080, 1920)), 1080, 1440),
        (Request(fit=Size(9999, 1920)), 1440, 1920),
        (Request(fit=Size(300, 9999)), 300, 400),
        (Request(fit=Size(750, 1000)), 750, 1000),
    ],
)
def test_the_wish_in_numbers(request_: Request, height: int, width: int) -> None:
    assert request_.size_of(PHOTO) == Size(height, width)


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.integers(1, 50_000), st.integers(1, 50_000)),
)
def test_a_fit_touches_the_box_and_keeps_the_proportions(photo: tuple[int, int], box: tuple[int, int]) -> None:
    lr, outer = Size(*photo), Size(*box)
    try:
        found = Request(fit=outer).size_of(lr)
    except ScaleError:
        assert outer.height < lr.height or outer.width < lr.width
        return
    assert found.height <= outer.height
    assert found.width <= outer.width
    assert found.height == outer.height or found.width == outer.width
    factor = min(outer.height / lr.height, outer.width / lr.width)
    assert abs(found.height - lr.height * factor) <= 0.5 + 1e-6
    assert abs(found.width - lr.width * factor) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"scale": 0}, "scale 0 is not positive"),
        ({"scale": -1}, "scale -1 is not positive"),
        ({"scale": float("nan")}, "scale nan is not a number"),
        ({"scale": float("inf")}, "scale inf is not a number"),
        ({"scale": 0.5}, "scale 0.5 would shrink the photo"),
        ({"scale": (2, 0.99)}, "scale 0.99 would shrink the photo"),
        ({"scale": 2.0, "width": 800}, "scale and width cannot be asked for together"),
        ({"size": Size(600, 800), "height": 5, "fit": Size(9, 9)}, "size and height and fit cannot be asked for"),
        ({"width": 0}, "a side cannot be 0 pixels"),
        ({"height": -5}, "a side cannot be -5 pixels"),
        ({"size": Size(0, 800)}, "a side cannot be 0 pixels"),
        ({"fit": Size(800, 0)}, "a side cannot be 0 pixels"),
        ({"width": 10**400}, "beyond all measure"),
        ({"size": Size(800, 10**18)}, "beyond all measure"),
    ],
)
def test_what_no_photo_can_satisfy(wish: dict[str, Any], words: str) -> None:
    """Said before any photo is read, and with it too."""
    with pytest.raises(ScaleError, match=words):
        Request(**wish).check()
    with pytest.raises(ScaleError, match=words):
        Request(**wish).size_of(PHOTO)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"size": Size(299, 400)}, "shrink the photo's height from 300 to 299 pixels. Ask for 300 or more"),
        ({"size": Size(300, 399)}, "shrink the photo's width from 400 to 399 pixels"),
        ({"width": 399}, "would shrink"),
        ({"height": 299}, "would shrink"),
        ({"fit": Size(299, 5000)}, "would shrink"),
        ({"scale": 1e9}, "the result would be 400000000000x300000000000, 120,000,000,000,000,000 megapixels"),
        ({"scale": 1e18}, "scale 1e+18 is beyond all measure"),
        ({"scale": 1e300}, "scale 1e+300 is beyond all measure"),
        ({"scale": (1.0, 1e308)}, "beyond all measure"),
        ({"scale": 200}, "the limit is 4,000. Ask for less, or raise --max-output-megapixels"),
    ],
)
def test_what_this_photo_cannot_satisfy(wish: dict[str, Any], words: str) -> None:
    Request(**wish).check()
    with pytest.raises(ScaleError) as caught:
        Request(**wish).size_of(PHOTO)
    assert words in str(caught.value)


def test_the_limit_is_exact_and_can_be_raised() -> None:
    limit = 600 * 800
    assert Request(scale=2, limit_pixels=limit).size_of(PHOTO) == Size(600, 800)
    with pytest.raises(ScaleError, match="the limit is 0"):
        Request(scale=2, limit_pixels=limit - 1).size_of(PHOTO)
    assert Request(scale=200, limit_pixels=10**10).size_of(PHOTO) == Size(60_000, 80_000)
