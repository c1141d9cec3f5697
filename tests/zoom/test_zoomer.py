"""Tiled equals untiled; any window at any size is the same pixels of the same picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from anyzoom.checkpoint import load_model
from anyzoom.errors import MemoryBudgetError, ScaleError
from anyzoom.grid import Size, Window, size_for
from anyzoom.image import Photo
from anyzoom.image.resample import resample
from anyzoom.models import Composed, ContinuousSR, Encoded
from anyzoom.models.decoders.liif import LiifConfig, LiifDecoder
from anyzoom.models.encoders.swinir import SwinirConfig, SwinirEncoder
from anyzoom.zoom import Zoomer
from anyzoom.zoom.engine import Engine

MakePhoto = Callable[..., Photo]
SCALES = [1.0, 1.03, 1.5, 2.0, 3.7, 4.0]


def untiled(network: ContinuousSR, photo: Photo, size: Size) -> NDArray[np.float32]:
    """The network itself, without anything of this room."""
    lr = torch.from_numpy(photo.pixels).permute(2, 0, 1).unsqueeze(0)
    with torch.no_grad():
        whole: NDArray[np.float32] = network(lr, size)[0].permute(1, 2, 0).numpy()
    return whole


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Size, Size, Size]:
    """A photo, a size to zoom to and a tile."""
    if draw(st.booleans()):
        photo = Size(draw(st.integers(1, 30)), draw(st.integers(1, 30)))
        scale = draw(st.sampled_from(SCALES)), draw(st.sampled_from(SCALES))
    else:
        photo = Size(draw(st.integers(1, 6)), draw(st.integers(1, 6)))
        scale = draw(st.sampled_from([*SCALES, 16.0])), draw(st.sampled_from([*SCALES, 16.0]))
    least = 1 if photo.pixels < 50 else 3
    return photo, size_for(photo, scale), Size(draw(st.integers(least, 20)), draw(st.integers(least, 20)))


@pytest.mark.parametrize("name", ["tiny", "bicubic"])
@settings(max_examples=30, deadline=None)
@given(
    job=jobs(),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    ensemble=st.sampled_from([False] * 5 + [True]),
)
def test_tiled_equals_untiled(
    tiny: ContinuousSR,
    bicubic: ContinuousSR,
    make_photo: MakePhoto,
    name: str,
    job: tuple[Size, Size, Size],
    corners: list[float],
    ensemble: bool,
) -> None:
    """Whole, by bands, and any window of it, within 1e-5."""
    network = {"tiny": tiny, "bicubic": bicubic}[name]
    photo_size, size, tile = job
    photo = make_photo(*photo_size, 3, "float32")
    if ensemble:
        expected = Zoomer(photo, network, device="cpu", ensemble=True, tile=photo_size).render(size=size)
    else:
        expected = untiled(network, photo, size)
    zoomer = Zoomer(photo, network, device="cpu", tile=tile, ensemble=ensemble)

    def close(found: Any, wanted: Any) -> None:
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)

    close(np.concatenate(list(zoomer.bands(size))), expected)
    top, bottom = sorted(int(corner * (size.height - 1)) for corner in corners[:2])
    left, right = sorted(int(corner * (size.width - 1)) for corner in corners[2:])
    window = Window(top, left, bottom + 1, right + 1)
    close(zoomer.render(size=size, window=window), expected[window.slices])
    close(zoomer.render(size=size), expected)


def test_the_halo_is_needed(tiny: ContinuousSR, make_photo: MakePhoto) -> None:
    """So the property above can fail: one pixel less shows."""
    photo, size = make_photo(24, 26, 3, "float32"), Size(61, 70)
    expected = untiled(tiny, photo, size)
    facts = tiny.facts
    assert facts.halo == 2 * 1 + 2 + 2
    zoomer = Zoomer(photo, tiny, device="cpu", tile=Size(8, 8))
    zoomer.engine.facts = replace(facts, halo=5)
    assert np.abs(zoomer.render(size=size) - expected).max() > 1e-4


@pytest.mark.parametrize("scale", [1, 1.0, (1.0, 1.0)])
def test_scale_1_gives_the_photos_own_size(tiny: ContinuousSR, make_photo: MakePhoto, scale: Any) -> None:
    photo = make_photo(7, 9, 4, "uint16")
    found = Zoomer(photo, tiny).render(scale=scale)
    assert (found.shape, found.dtype) == (photo.pixels.shape, photo.pixels.dtype)


def test_scale_1_of_the_baseline_is_the_photo_itself(bicubic: ContinuousSR, make_photo: MakePhoto) -> None:
    photo = make_photo(7, 9)
    np.testing.assert_array_equal(Zoomer(photo, bicubic, tile=Size(2, 3)).render(scale=1), photo.pixels)


def test_the_baseline_is_resample(bicubic: ContinuousSR, make_photo: MakePhoto) -> None:
    photo = make_photo(11, 8)
    expected = np.rint(resample(photo.pixels.astype(np.float32) / 255, size=Size(40, 9)).clip(0, 1) * 255)
    found = Zoomer(photo, bicubic, tile=Size(3, 3)).render(size=Size(40, 9))
    assert np.abs(found - expected).max() <= 1  # halves may round either way
    assert (found != expected).mean() < 0.01


def test_progress_counts_every_pixel_once(bicubic: ContinuousSR, make_photo: MakePhoto) -> None:
    told: list[int] = []
    bands = list(Zoomer(make_photo(10, 7), bicubic, tile=Size(4, 3)).bands(Size(31, 15), told.append))
    assert len(bands) == 3
    assert len(told) == 9
    assert sum(told) == 31 * 15


def test_the_shipped_network_is_the_default(make_photo: MakePhoto) -> None:
    photo = make_photo(8, 9)
    found = Zoomer(photo).render(scale=2)
    np.testing.assert_array_equal(found, Zoomer(photo, load_model()).render(scale=2))
    bicubic = Zoomer(photo, "bicubic").render(scale=2)
    assert np.abs(found.astype(int) - bicubic).max() > 3  # it does something,
    assert np.abs(found.astype(int) - bicubic).mean() < 8  # and it is the same picture


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({}, "ask for a scale or a size, one of them"),
        ({"scale": 2, "size": Size(18, 24)}, "one of them"),
        ({"scale": 0.9}, "would shrink"),
        ({"size": Size(8, 99)}, "99x8 would shrink the photo of 12x9"),
        ({"scale": 2, "window": Window(0, 0, 19, 3)}, "does not lie inside a picture of 24x18"),
        ({"scale": 2, "window": Window(-1, 0, 5, 3)}, "does not lie inside"),
        ({"scale": 2, "window": Window(4, 3, 4, 9)}, "does not lie inside"),
        ({"scale": 2, "window": Window(8, 3, 4, 9)}, "does not lie inside"),
    ],
)
def test_refuses(bicubic: ContinuousSR, make_photo: MakePhoto, ask: dict[str, Any], words: str) -> None:
    with pytest.raises(ScaleError, match=words):
        Zoomer(make_photo(9, 12), bicubic).render(**ask)


def test_bands_refuse_to_shrink(bicubic: ContinuousSR, make_photo: MakePhoto) -> None:
    with pytest.raises(ScaleError, match="would shrink"):
        list(Zoomer(make_photo(9, 12), bicubic).bands(Size(9, 11)))


def test_refuses_a_budget_that_cannot_do(bicubic: ContinuousSR, make_photo: MakePhoto) -> None:
    with pytest.raises(MemoryBudgetError, match="Raise --memory"):
        Zoomer(make_photo(9, 12), bicubic, memory=1000).render(scale=2)


class Counted:
    """Counts how many tiles an engine encodes."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        encode = engine.encode

        def counting(*args: Any) -> tuple[Encoded, ...]:
            self.count += 1
            return encode(*args)

        monkeypatch.setattr(engine, "encode", counting)


def test_what_was_seen_costs_no_encoding(
    tiny: ContinuousSR, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbouring windows and other scales of the same place; the least recently seen is forgotten first."""
    zoomer = Zoomer(make_photo(20, 20), tiny, device="cpu", tile=Size(10, 10))
    counted = Counted(zoomer.engine, monkeypatch)
    first = zoomer.render(scale=2, window=Window(0, 0, 10, 10))
    assert counted.count == 1
    np.testing.assert_array_equal(zoomer.render(scale=2, window=Window(0, 0, 10, 10)), first)
    zoomer.render(scale=3.7, window=Window(5, 5, 20, 20))
    assert counted.count == 1
    zoomer.render(scale=2)
    assert counted.count == 4
    zoomer.render(scale=5)
    assert counted.count == 4


def test_only_as_much_is_remembered_as_the_budget_allows(
    tiny: ContinuousSR, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoomer = Zoomer(make_photo(20, 20), tiny, device="cpu", tile=Size(10, 10), memory=1)  # one tile at least
    counted = Counted(zoomer.engine, monkeypatch)
    corner, other = Window(0, 0, 5, 5), Window(30, 30, 35, 35)
    for window, sum_so_far in ((corner, 1), (corner, 1), (other, 2), (other, 2), (corner, 3)):
        zoomer.render(scale=2, window=window)
        assert counted.count == sum_so_far


class Short:
    """A device whose memory holds no window of more than `most` pixels."""

    def __init__(self, engine: Engine, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused = 0
        render = engine.render

        def rendering(encoded: tuple[Encoded, ...], size: Size, window: Window) -> Tensor:
            if window.size.pixels > most:
                self.refused += 1
                raise torch.OutOfMemoryError
            return render(encoded, size, window)

        monkeypatch.setattr(engine, "render", rendering)


@pytest.mark.parametrize("most", [400, 60, 12])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_out_of_memory_means_smaller_pieces_of_the_same_picture(
    tiny: ContinuousSR, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch, most: int, dtype: str
) -> None:
    photo = make_photo(10, 13, 4, dtype)
    if dtype == "float32":
        photo.pixels[4, 5, :3] = 7  # what lies beyond white must be added once, not once per attempt
    expected = Zoomer(photo, tiny, device="cpu").render(size=Size(23, 31))
    zoomer = Zoomer(photo, tiny, device="cpu")
    short = Short(zoomer.engine, most, monkeypatch)
    found = zoomer.render(size=Size(23, 31))
    assert short.refused > 0
    if dtype == "float32":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)  # un-premultiplied by a small alpha
    else:
        assert np.abs(found.astype(int) - expected).max() <= 20  # of 65535
    np.testing.assert_allclose(np.concatenate(list(zoomer.bands(Size(23, 31)))), found, rtol=0, atol=0)


def test_a_device_without_any_memory_is_refused(
    bicubic: ContinuousSR, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoomer = Zoomer(make_photo(4, 5), bicubic, device="cpu")
    Short(zoomer.engine, 0, monkeypatch)
    with pytest.raises(MemoryBudgetError, match="cpu has too little memory for even the smallest tile"):
        zoomer.render(scale=2)


class Global(Composed):
    """A network in which every pixel depends on the whole photo: no tile is exact."""

    def encode(self, lr: Tensor, window: Window | None = None, whole: Size | None = None) -> Encoded:
        encoded = super().encode(lr, window, whole)
        return encoded._replace(features=encoded.features + lr.mean())


def test_a_network_without_halo_sees_the_whole_photo(tiny: ContinuousSR, make_photo: MakePhoto) -> None:
    assert isinstance(tiny, Composed)
    network = Global(tiny.encoder, tiny.decoder)
    network.facts = replace(network.facts, halo=None)
    photo, size = make_photo(12, 14, 3, "float32"), Size(30, 31)
    found = Zoomer(photo, network, device="cpu", tile=Size(5, 5)).render(size=size)
    np.testing.assert_allclose(found, untiled(network, photo, size), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def in_windows() -> ContinuousSR:
    """A small network of windows of 4 pixels, with weights so large that pixels care whom they see."""
    torch.manual_seed(6)
    encoder = SwinirEncoder(SwinirConfig(width=6, inner=6, depths=(2,), heads=2, window=4))
    network = Composed(encoder, LiifDecoder(6, LiifConfig(hidden=(8,))))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.mul_(20 if "blocks" in name and parameter.ndim == 2 else 1.5)
    return network.eval()


@pytest.mark.parametrize("photo_size", [Size(24, 32), Size(23, 29), Size(5, 33), Size(1, 1)], ids=str)
@pytest.mark.parametrize(
    ("tile", "ensemble"), [(Size(5, 7), False), (Size(8, 12), False), (Size(9, 11), True)], ids=str
)
def test_tiles_begin_at_multiples(
    in_windows: ContinuousSR, make_photo: MakePhoto, photo_size: Size, tile: Size, ensemble: bool
) -> None:
    """Whichever way a symmetry turns them."""
    photo, size = make_photo(*photo_size, 3, "float32"), size_for(photo_size, (1.5, 2.0))
    assert (in_windows.facts.halo, in_windows.facts.multiple) == (9 + 2, 4)
    if ensemble:
        expected = Zoomer(photo, in_windows, device="cpu", ensemble=True, tile=photo_size).render(size=size)
    else:
        expected = untiled(in_windows, photo, size)
    zoomer = Zoomer(photo, in_windows, device="cpu", tile=tile, ensemble=ensemble)
    np.testing.assert_allclose(zoomer.render(size=size), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(zoomer.bands(size))), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("multiple", "halo", "tile"), [(1, 11, Size(5, 7)), (4, 10, Size(1, 1))])
def test_multiples_and_halo_are_needed(
    in_windows: ContinuousSR, make_photo: MakePhoto, multiple: int, halo: int, tile: Size
) -> None:
    photo, size = make_photo(31, 41, 3, "float32"), Size(62, 82)
    zoomer = Zoomer(photo, in_windows, device="cpu", tile=tile)
    zoomer.engine.facts = replace(in_windows.facts, multiple=multiple, halo=halo)
    found = zoomer.render(size=size, window=Window(20, 20, 40, 50))
    assert np.abs(found - untiled(in_windows, photo, size)[20:40, 20:50]).max() > 1e-4
