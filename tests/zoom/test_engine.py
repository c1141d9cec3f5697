"""Symmetries, the ensemble, and which device is taken."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyzoom.errors import DeviceError
from anyzoom.grid import Size, Window
from anyzoom.models import ContinuousSR
from anyzoom.zoom.engine import EIGHT, Engine, Symmetry, choose_device


def test_the_eight_are_all_different_and_undo_themselves() -> None:
    picture = torch.arange(12.0).view(1, 3, 4)
    seen = set()
    for symmetry in EIGHT:
        turned = symmetry.forward(picture)
        assert symmetry.size(Size(3, 4)) == tuple(turned.shape[-2:])
        assert torch.equal(symmetry.backward(turned), picture)
        seen.add((turned.shape, tuple(turned.flatten().tolist())))
    assert len(seen) == 8


def test_transposing_comes_first() -> None:
    picture = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert Symmetry(transpose=True, flip_rows=True).forward(picture).tolist() == [[3, 6], [2, 5], [1, 4]]
    assert Symmetry(flip_columns=True).forward(picture).tolist() == [[3, 2, 1], [6, 5, 4]]


@given(st.sampled_from(EIGHT), st.lists(st.integers(0, 6), min_size=2, max_size=2, unique=True), st.data())
def test_a_window_goes_where_its_pixels_go(symmetry: Symmetry, rows: list[int], data: st.DataObject) -> None:
    columns = sorted(data.draw(st.lists(st.integers(0, 9), min_size=2, max_size=2, unique=True)))
    window = Window(min(rows), columns[0], max(rows), columns[1])
    picture = torch.arange(54).view(6, 9)
    turned = symmetry.forward(picture)
    there = symmetry.window(window, Size(6, 9))
    assert torch.equal(turned[there.slices], symmetry.forward(picture[window.slices]))


def rendered(engine: Engine, lr: torch.Tensor, size: Size) -> torch.Tensor:
    whole = Size(lr.shape[-2], lr.shape[-1])
    encoded = engine.encode(lr, Window.whole(whole), whole, Window.whole(whole))
    return engine.render(encoded, size, Window.whole(size))


def test_the_ensemble_is_the_plain_average_of_eight_whole_renders(tiny: ContinuousSR) -> None:
    lr, size = torch.rand(1, 3, 7, 9), Size(16, 27)
    renders = []
    for transpose in (False, True):
        for axes in ((), (-2,), (-1,), (-2, -1)):
            shown = (lr.transpose(-1, -2) if transpose else lr).flip(axes)
            with torch.no_grad():
                seen = tiny(shown, Size(27, 16) if transpose else size).flip(axes)
            renders.append(seen.transpose(-1, -2) if transpose else seen)
    found = rendered(Engine(tiny, "cpu", ensemble=True), lr, size)
    torch.testing.assert_close(found, torch.stack(renders).mean(0), rtol=0, atol=1e-5)
    assert (renders[0] - renders[5]).abs().max() > 1e-3  # they do differ


def test_bfloat16_is_another_computation_but_nearly_the_same_picture(tiny: ContinuousSR) -> None:
    lr, size = torch.rand(1, 3, 7, 9), Size(16, 27)
    exact = rendered(Engine(tiny, "cpu"), lr, size)
    coarse = rendered(Engine(tiny, "cpu", "bfloat16"), lr, size)
    assert coarse.dtype == torch.float32
    assert 0 < (coarse - exact).abs().mean() < 0.02


def test_only_what_is_kept_of_the_features_stays(tiny: ContinuousSR) -> None:
    engine = Engine(tiny, "cpu", ensemble=True)
    lr, keep = torch.rand(1, 3, 10, 12), Window(3, 4, 8, 6)
    for symmetry, part in zip(
        engine.symmetries, engine.encode(lr, Window(0, 0, 10, 12), Size(10, 12), keep), strict=True
    ):
        assert part.window == symmetry.window(keep, Size(10, 12))
        assert tuple(part.features.shape[-2:]) == symmetry.size(keep.size)


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "found"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (1, True, "auto", "cuda"),
        (2, False, "cuda:1", "cuda:1"),
        (2, True, "cpu", "cpu"),
        (0, True, "mps", "mps"),
    ],
)
def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, wanted: str, found: str) -> None:
    pretend(monkeypatch, cuda, mps)
    assert str(choose_device(wanted)) == found


@pytest.mark.parametrize(
    ("cuda", "wanted", "words"),
    [
        (0, "cuda", "'cuda' is not available on this machine. Available: cpu."),
        (2, "cuda:2", "'cuda:2' is not available on this machine. Available: cuda, cpu."),
        (0, "mps", "'mps' is not available"),
        (0, "gpu", "unknown device 'gpu'. Choose auto, cuda, mps, cpu."),
        (0, "", "unknown device ''"),
        (0, "meta", "'meta' is not supported"),
    ],
)
def test_devices_that_are_not(monkeypatch: pytest.MonkeyPatch, cuda: int, wanted: str, words: str) -> None:
    pretend(monkeypatch, cuda)
    with pytest.raises(DeviceError) as caught:
        choose_device(wanted)
    assert words in str(caught.value)
