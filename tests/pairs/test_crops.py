"""Crops: what they hold, and on what they depend."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from anyzoom.errors import RecipeError, ScaleError
from anyzoom.grid import Size
from anyzoom.image.resample import resample
from anyzoom.pairs import Crop, RandomCrops

Picture = NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 1) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def places(height: int, width: int) -> Picture:
    """Every pixel says where it is: (row, column, 77)."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows, columns, np.full_like(rows, 77)], axis=-1)


def whole(crop: Crop) -> tuple[Size, Picture]:
    """The HR crop itself, put together again from a crop with as many queries as pixels."""
    size = Size(*(round(2 / side) for side in crop.cell.tolist()))
    assert len(crop.points) == size.pixels
    at = ((crop.points + 1) / 2 * torch.tensor(size)).numpy()  # yx in pixels; the centre of the first is 0.5
    np.testing.assert_allclose(at % 1, 0.5, rtol=0, atol=1e-5)
    hr = np.zeros((*size, 3), np.uint8)
    hr[at[:, 0].astype(int), at[:, 1].astype(int)] = np.rint(crop.colours.numpy() * 255)
    return size, hr


def all_of(crops: RandomCrops) -> list[Crop]:
    return [crops[i] for i in range(len(crops))]


def same(one: Crop, other: Crop) -> bool:
    return all(torch.equal(*both) for both in zip(one, other, strict=True))


def test_what_a_crop_holds() -> None:
    crop = RandomCrops([noise(200, 210)], 5, patch=12, queries=30)[4]
    assert crop.lr.shape == (3, 12, 12)
    assert crop.points.shape == (30, 2)
    assert crop.cell.shape == (2,)
    assert crop.colours.shape == (30, 3)
    for tensor in crop:
        assert tensor.dtype == torch.float32
    assert len({tuple(point) for point in crop.points.tolist()}) == 30  # no pixel is asked for twice


@pytest.mark.parametrize("i", range(12))
def test_the_truth_is_the_pixel_at_the_point(i: int) -> None:
    """With all 24 x 24 pixels asked for, the crop is a window of the picture, perhaps turned or mirrored."""
    crop = RandomCrops([places(60, 70)], 12, patch=12, queries=24 * 24, scales=(2.0, 2.0))[i]
    size, hr = whole(crop)
    assert size == Size(24, 24)
    assert (hr[..., 2] == 77).all()
    rows, columns = hr[..., 0].astype(int), hr[..., 1].astype(int)
    assert rows.max() - rows.min() == columns.max() - columns.min() == 23
    assert len(np.unique(rows * 100 + columns)) == size.pixels
    steps = abs(np.diff(rows, axis=0)) + abs(np.diff(columns, axis=0))
    assert (steps == 1).all()  # neighbours stay neighbours


def test_a_small_case_in_numbers() -> None:
    """A crop as large as the picture: at scale 1 the LR pixels are the picture's own."""
    picture = noise(8, 8)
    seen = set()
    for crop in all_of(RandomCrops([picture], 64, patch=8, queries=64, scales=(1.0, 1.0))):
        size, hr = whole(crop)
        assert size == Size(8, 8)
        assert np.array_equal(np.rint(crop.lr.permute(1, 2, 0).numpy() * 255), hr)
        turns = [np.rot90(side, k) for side in (picture, picture[::-1]) for k in range(4)]
        seen.add(next(k for k, turn in enumerate(turns) if np.array_equal(turn, hr)))
    assert seen == set(range(8))  # all eight ways to turn and mirror a square


@settings(deadline=None, max_examples=25)
@given(i=st.integers(0, 10_000), scale=st.floats(1, 4))
def test_lr_is_the_crop_shrunk_and_rounded_to_eight_bits(i: int, scale: float) -> None:
    side = int(9 * scale + 0.5)
    crop = RandomCrops([noise(40, 50)], i + 1, patch=9, queries=81, scales=(scale, scale))[i]
    assert crop.cell.tolist() == pytest.approx([2 / side, 2 / side])
    crops = RandomCrops([noise(40, 50)], i + 1, patch=9, queries=side * side, scales=(scale, scale))
    size, hr = whole(crops[i])
    assert size == Size(side, side)
    shrunk = resample(hr.astype(np.float64) / 255, size=Size(9, 9)).clip(0, 1) * 255
    codes = crops[i].lr.permute(1, 2, 0).numpy().astype(np.float64) * 255
    np.testing.assert_allclose(codes, np.rint(codes), rtol=0, atol=1e-4)
    assert codes.min() >= 0
    assert codes.max() <= 255
    # Half a code, and what float32 adds when the value lies just between two codes.
    np.testing.assert_allclose(codes, shrunk, rtol=0, atol=0.5 + 1e-3)


def test_points_in_numbers() -> None:
    """Points and cell follow the grid of the HR crop: two pixels a side have their centres at ±1/2."""
    crop = RandomCrops([noise(2, 2)], 1, patch=1, queries=4, scales=(2.0, 2.0))[0]
    assert sorted(crop.points.tolist()) == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    assert crop.cell.tolist() == [1.0, 1.0]


def test_crop_i_depends_on_seed_and_i_alone() -> None:
    pictures = [noise(50, 60), noise(70, 40, 2)]
    crops = RandomCrops(pictures, 100, patch=8, queries=20, seed=5)
    seventh = crops[7]
    np.random.seed(99)  # noqa: NPY002 - neither the old global generator
    torch.manual_seed(99)  # nor PyTorch's
    crops[3]
    assert same(crops[7], seventh)
    assert same(RandomCrops(pictures, 8, patch=8, queries=20, seed=5)[7], seventh)
    assert not same(crops[8], seventh)
    assert not same(RandomCrops(pictures, 8, patch=8, queries=20, seed=6)[7], seventh)


def test_another_process_sees_the_same_crops() -> None:
    crops = RandomCrops([noise(50, 60)], 12, patch=8, queries=20, seed=5)
    loader = DataLoader(crops, 4, num_workers=1, multiprocessing_context=multiprocessing.get_context("spawn"))
    for number, batch in enumerate(loader):
        assert isinstance(batch, Crop)
        for k in range(4):
            assert same(Crop(*(tensor[k] for tensor in batch)), crops[number * 4 + k])


def test_large_pictures_are_drawn_more_often() -> None:
    """Three quarters of the area take three quarters of the crops: 300 of 400, give or take 3 deviations of 8.7."""
    dark, light = np.zeros((20, 20, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)
    for pictures, bright in (([dark, light], 300), ([light, dark], 300)):
        crops = RandomCrops(pictures, 400, patch=4, queries=1, scales=(1.0, 2.0))
        assert sum(float(crop.lr.mean() > 0.5) for crop in all_of(crops)) == pytest.approx(bright, abs=26)


def test_scales_and_positions_spread_evenly() -> None:
    crops = all_of(RandomCrops([places(100, 120)], 300, patch=8, queries=1, scales=(1.0, 4.0)))
    sides = np.array([2 / float(crop.cell[0]) for crop in crops])
    assert (sides.min(), sides.max()) == (pytest.approx(8), pytest.approx(32))
    assert sides.mean() == pytest.approx(20, abs=1.5)  # of U(8, 32), 3 deviations of 0.4
    rows = np.array([float(crop.colours[0, 0]) for crop in crops]) * 255
    assert rows.min() < 10
    assert rows.max() > 89


def test_there_are_as_many_as_were_asked_for() -> None:
    crops = RandomCrops([noise(40, 40)], 3, patch=8, queries=4)
    assert len(crops) == len(all_of(crops)) == 3
    for i in (3, -1):
        with pytest.raises(IndexError, match=f"crop {i} of 3"):
            crops[i]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (noise(47, 60), "picture 1 is 60x47, smaller than a crop of 48x48: remove it, or choose a smaller patch"),
        (noise(60, 47), "picture 1 is 47x60, smaller than a crop of 48x48"),
    ],
)
def test_a_picture_smaller_than_a_crop_is_refused(picture: Picture, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RandomCrops([noise(48, 48), picture], 1, patch=12, queries=4)


def test_more_queries_than_pixels_are_refused() -> None:
    """Crops of a batch must be alike: at scale 1 an 8 x 8 patch has no more than 64 pixels to ask for."""
    RandomCrops([noise(40, 40)], 1, patch=8, queries=64)
    with pytest.raises(RecipeError, match="a crop of 8x8 cannot answer 65 queries: ask for at most 64"):
        RandomCrops([noise(40, 40)], 1, patch=8, queries=65)


def test_no_picture_and_impossible_scales_are_refused() -> None:
    with pytest.raises(RecipeError, match="there is no picture to train on"):
        RandomCrops([], 1)
    with pytest.raises(ScaleError, match="would shrink the photo"):
        RandomCrops([noise(40, 40)], 1, patch=8, queries=4, scales=(0.5, 2.0))
