"""What a network is shown of a photo, and that nothing is lost on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anyzoom.grid import Size, Window
from anyzoom.image import Photo
from anyzoom.image.colour import encode_srgb
from anyzoom.image.resample import resample
from anyzoom.models import ContinuousSR
from anyzoom.zoom import Zoomer
from anyzoom.zoom.samples import NetworkView

MakePhoto = Callable[..., Photo]


def whole(photo: Photo) -> Window:
    return Window.whole(photo.size)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("dtype", "linear"), [("uint8", False), ("uint16", False), ("float32", False), ("float32", True)]
)
def test_shown_and_taken_back_it_is_the_same(make_photo: MakePhoto, channels: int, dtype: str, linear: bool) -> None:
    photo = make_photo(7, 9, channels, dtype, linear=linear)
    if channels in (2, 4):
        least = 0.01 if dtype == "float32" else 1  # where nothing can be seen, colours go
        np.maximum(photo.pixels[..., -1], least, out=photo.pixels[..., -1])
    view = NetworkView(photo)
    shown = view.show(whole(photo))
    assert shown.shape == (2 if channels in (2, 4) else 1, 3, 7, 9)
    assert shown.min() >= 0
    assert shown.max() <= 1
    back = view.samples(shown)
    assert back.dtype == photo.pixels.dtype
    assert back.shape == photo.pixels.shape
    if dtype == "float32":
        np.testing.assert_allclose(back, photo.pixels, rtol=0, atol=2e-6)
    else:
        np.testing.assert_array_equal(back, photo.pixels)


def test_every_value_of_16_bits_survives() -> None:
    photo = Photo(np.arange(65536, dtype=np.uint16).reshape(256, 256, 1))
    view = NetworkView(photo)
    np.testing.assert_array_equal(view.samples(view.show(whole(photo))), photo.pixels)


@given(st.integers(0, 5), st.integers(0, 6), st.integers(1, 2), st.integers(1, 3))
def test_a_window_shows_that_part(top: int, left: int, height: int, width: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 9, 4), np.uint8)
    view = NetworkView(Photo(pixels))
    window = Window(top, left, top + height, left + width)
    everything = view.show(Window(0, 0, 7, 9))
    assert torch.equal(view.show(window), everything[:, :, window.slices[0], window.slices[1]])


def test_results_beyond_black_and_white_are_clipped_for_integers() -> None:
    photo = Photo(np.zeros((1, 2, 3), np.uint8))
    rendered = torch.tensor([-0.2, 1.3]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    np.testing.assert_array_equal(NetworkView(photo).samples(rendered)[0, :, 0], [0, 255])


def test_grey_is_the_mean_of_what_comes_back() -> None:
    photo = Photo(np.zeros((1, 1, 1), np.uint8))
    rendered = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1)
    assert NetworkView(photo).samples(rendered).tolist() == [[[128]]]  # 127.5, to even


def red_disc(background: tuple[int, int, int], dtype: str) -> NDArray[Any]:
    full = np.iinfo(dtype).max
    y, x = np.mgrid[:24, :24]
    inside = (y - 11.5) ** 2 + (x - 11.5) ** 2 < 64
    pixels = np.zeros((24, 24, 4), dtype)
    pixels[...] = (*(value * (full // 255) for value in background), 0)
    pixels[inside] = (full, 0, 0, full)
    return pixels


@pytest.mark.parametrize("background", [(0, 0, 0), (0, 255, 0), (255, 255, 255)], ids=["black", "green", "white"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_no_halo_around_an_opaque_disc(bicubic: ContinuousSR, background: tuple[int, int, int], dtype: str) -> None:
    """What lies under transparent pixels must not bleed into visible ones: red stays pure red."""
    full = np.iinfo(dtype).max
    pixels = Zoomer(Photo(red_disc(background, dtype)), bicubic).render(scale=3.7)
    visible = pixels[..., 3] > full // 20
    edge = visible & (pixels[..., 3] < full - full // 20)
    assert edge.sum() > 100
    assert pixels[visible][:, 0].min() >= full - full // 50
    assert pixels[visible][:, 1:3].max() <= full // 50
    assert (pixels[..., 3] == 0).any()
    assert (pixels[..., 3] == full).any()


@pytest.mark.parametrize("alpha", [0, 1, 128, 255])
@pytest.mark.parametrize("channels", [2, 4])
def test_an_alpha_that_is_the_same_everywhere_stays(
    tiny: ContinuousSR, make_photo: MakePhoto, alpha: int, channels: int
) -> None:
    """And the colours are those of the photo without it, even below an alpha of 0."""
    photo = make_photo(6, 8, channels)
    photo.pixels[..., -1] = alpha
    found = Zoomer(photo, tiny).render(scale=2)
    assert (found[..., -1] == alpha).all()
    opaque = Zoomer(Photo(photo.pixels[..., :-1].copy()), tiny).render(scale=2)
    np.testing.assert_array_equal(found[..., :-1], opaque)


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (2, "uint16"), (1, "float32"), (2, "uint8")])
def test_grey_stays_one_channel(tiny: ContinuousSR, make_photo: MakePhoto, channels: int, dtype: str) -> None:
    photo = make_photo(6, 8, channels, dtype)
    found = Zoomer(photo, tiny).render(scale=(2, 3))
    assert found.shape == (12, 24, channels)
    assert found.dtype == dtype
    three = np.concatenate([np.repeat(photo.pixels[..., :1], 3, axis=2), photo.pixels[..., 1:]], axis=2)
    coloured = Zoomer(Photo(three), tiny).render(scale=(2, 3))
    full = 1 if dtype == "float32" else np.iinfo(np.dtype(dtype)).max
    mean = coloured[..., :3].astype(float).mean(axis=2)
    assert np.abs(found[..., 0] - mean).max() <= full * 2e-2 / 3  # only clipping parts them


def test_16_bits_never_pass_through_8(bicubic: ContinuousSR) -> None:
    """A ramp of 400 neighbouring 16-bit values, which 8 bits would make two."""
    ramp = np.arange(20_000, 20_400, dtype=np.uint16)
    photo = Photo(np.repeat(np.tile(ramp, (4, 1))[..., None], 3, axis=2))
    found = Zoomer(photo, bicubic).render(scale=2)
    assert len(np.unique(found)) >= 400
    expected = np.arange(800) / 2 - 0.25 + 20_000
    assert np.abs(found[4, 6:-6, 0] - expected[6:-6]).max() <= 0.51


def test_values_beyond_white_and_below_black_survive(bicubic: ContinuousSR) -> None:
    """With the bicubic baseline they are exactly the bicubic of the whole, tiles or not."""
    pixels = np.random.default_rng(2).uniform(-3, 9, (14, 11, 3)).astype(np.float32)
    expected = resample(pixels, size=Size(31, 40))
    assert expected.min() < -3
    assert expected.max() > 9
    for tile in (None, Size(4, 3)):
        found = Zoomer(Photo(pixels), bicubic, tile=tile).render(size=Size(31, 40))
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_a_network_keeps_the_sun_where_it_is(tiny: ContinuousSR) -> None:
    """A network sees at most white; the light beyond it is added by bicubic interpolation."""
    pixels = np.full((12, 12, 3), 0.5, np.float32)
    pixels[5:7, 5:7] = 50
    found = Zoomer(Photo(pixels), tiny).render(scale=2)
    clipped = Zoomer(Photo(pixels.clip(0, 1)), tiny).render(scale=2)
    beyond = resample(np.maximum(pixels - 1, 0), size=Size(24, 24))
    np.testing.assert_allclose(found, clipped + beyond, rtol=0, atol=1e-4)
    assert found.max() > 45


def test_linear_light_is_zoomed_as_people_see_it(bicubic: ContinuousSR) -> None:
    """sRGB-coded before, linear after; a constant comes back as itself, far beyond white too."""
    for value in (-0.5, 0.0, 0.18, 1.0, 12.0):
        photo = Photo(np.full((5, 6, 3), value, np.float32), linear=True)
        found = Zoomer(photo, bicubic).render(scale=2.5)
        np.testing.assert_allclose(found, value, rtol=2e-6, atol=1e-6)
    edge = np.zeros((6, 8, 3), np.float32)
    edge[:, 4:] = 1
    found = np.asarray(Zoomer(Photo(edge, linear=True), bicubic).render(scale=2), np.float32)
    coded = resample(encode_srgb(edge), size=Size(12, 16))
    np.testing.assert_allclose(encode_srgb(found), coded, rtol=0, atol=1e-5)
