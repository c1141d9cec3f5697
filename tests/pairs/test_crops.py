"""Crops: what they hold, and on what they depend."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from torch.utils.data import DataLoader

from anyzoom.degrade.bicubic import Bicubic
from anyzoom.errors import RecipeError
from anyzoom.grid import Size
from anyzoom.image.resample import resample
from anyzoom.pairs import Augmentation, Crop, CropPlan, Frame, PictureCache, RandomCrops, Scene

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


class Held:
    """Pictures that stand for files."""

    def __init__(self, pictures: dict[Path, Picture]) -> None:
        self.pictures = pictures

    def __call__(self, frame: Frame) -> Picture:
        return self.pictures[frame.path]


def scenes_of(*groups: Sequence[Picture]) -> tuple[list[Scene], PictureCache]:
    """A scene of every group of pictures, from the narrowest to the widest."""
    files = {Path(f"{s}_{f}.png"): picture for s, group in enumerate(groups) for f, picture in enumerate(group)}
    frames = {path: Frame(path, Size(*picture.shape[:2])) for path, picture in files.items()}
    scenes = [
        Scene(f"scene {s}", tuple(frames[Path(f"{s}_{f}.png")] for f in range(len(group))))
        for s, group in enumerate(groups)
    ]
    return scenes, PictureCache(frames.values(), 1 << 30, Held(files))


def made(
    pictures: Sequence[Picture],
    length: int,
    *,
    patch: int = 48,
    queries: int = 256,
    scales: tuple[float, float] = (1.0, 4.0),
    seed: int = 0,
    batch: int = 1,
    **plan: Any,
) -> RandomCrops:
    """Crops of single pictures."""
    drawn = plan.pop("drawn", {"kind": "uniform", "low": scales[0], "high": scales[1]})
    chosen = CropPlan.model_validate({"patch": patch, "queries": queries, "scales": drawn, **plan})
    held = scenes_of(*([picture] for picture in pictures))
    return RandomCrops(*held, chosen, Bicubic(), length=length, batch=batch, seed=seed)


def taken(groups: Sequence[Sequence[Picture]], length: int, **plan: Any) -> RandomCrops:
    """Crops of scenes photographed at several sizes."""
    return RandomCrops(*scenes_of(*groups), CropPlan.model_validate(plan), Bicubic(), length=length)


def all_of(crops: RandomCrops) -> list[Crop]:
    return [crops[i] for i in range(len(crops))]


def same(one: Crop, other: Crop) -> bool:
    return all(torch.equal(*both) for both in zip(one, other, strict=True))


def test_what_a_crop_holds() -> None:
    crop = made([noise(200, 210)], 5, patch=12, queries=30)[4]
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
    crop = made([places(60, 70)], 12, patch=12, queries=24 * 24, scales=(2.0, 2.0))[i]
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
    for crop in all_of(made([picture], 64, patch=8, queries=64, scales=(1.0, 1.0))):
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
    crop = made([noise(40, 50)], i + 1, patch=9, queries=81, scales=(scale, scale))[i]
    assert crop.cell.tolist() == pytest.approx([2 / side, 2 / side])
    crops = made([noise(40, 50)], i + 1, patch=9, queries=side * side, scales=(scale, scale))
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
    crop = made([noise(2, 2)], 1, patch=1, queries=4, scales=(2.0, 2.0))[0]
    assert sorted(crop.points.tolist()) == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    assert crop.cell.tolist() == [1.0, 1.0]


def test_crop_i_depends_on_seed_and_i_alone() -> None:
    pictures = [noise(50, 60), noise(70, 40, 2)]
    crops = made(pictures, 100, patch=8, queries=20, seed=5)
    seventh = crops[7]
    np.random.seed(99)  # noqa: NPY002 - neither the old global generator
    torch.manual_seed(99)  # nor PyTorch's
    crops[3]
    assert same(crops[7], seventh)
    assert same(made(pictures, 8, patch=8, queries=20, seed=5)[7], seventh)
    assert not same(crops[8], seventh)
    assert not same(made(pictures, 8, patch=8, queries=20, seed=6)[7], seventh)


def test_another_process_sees_the_same_crops() -> None:
    crops = made([noise(50, 60)], 12, patch=8, queries=20, seed=5)
    loader = DataLoader(crops, 4, num_workers=1, multiprocessing_context=multiprocessing.get_context("spawn"))
    for number, batch in enumerate(loader):
        assert isinstance(batch, Crop)
        for k in range(4):
            assert same(Crop(*(tensor[k] for tensor in batch)), crops[number * 4 + k])


def test_large_pictures_are_drawn_more_often() -> None:
    """Three quarters of the area take three quarters of the crops: 300 of 400, give or take 3 deviations of 8.7."""
    dark, light = np.zeros((20, 20, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)
    for pictures, bright in (([dark, light], 300), ([light, dark], 300)):
        crops = made(pictures, 400, patch=4, queries=1, scales=(1.0, 2.0))
        assert sum(float(crop.lr.mean() > 0.5) for crop in all_of(crops)) == pytest.approx(bright, abs=26)


def test_scales_and_positions_spread_evenly() -> None:
    crops = all_of(made([places(100, 120)], 300, patch=8, queries=1, scales=(1.0, 4.0)))
    sides = np.array([2 / float(crop.cell[0]) for crop in crops])
    assert (sides.min(), sides.max()) == (pytest.approx(8), pytest.approx(32))
    assert sides.mean() == pytest.approx(20, abs=1.5)  # of U(8, 32), 3 deviations of 0.4
    rows = np.array([float(crop.colours[0, 0]) for crop in crops]) * 255
    assert rows.min() < 10
    assert rows.max() > 89


def test_there_are_as_many_as_were_asked_for() -> None:
    crops = made([noise(40, 40)], 3, patch=8, queries=4)
    assert len(crops) == len(all_of(crops)) == 3
    for i in (3, -1):
        with pytest.raises(IndexError, match=f"crop {i} of 3"):
            crops[i]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (noise(47, 60), r"1_0\.png is 60x47, smaller than a crop of 48x48: remove it, or choose a smaller patch"),
        (noise(60, 47), r"1_0\.png is 47x60, smaller than a crop of 48x48"),
    ],
)
def test_a_picture_smaller_than_a_crop_is_refused(picture: Picture, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        made([noise(48, 48), picture], 1, patch=12, queries=4)


def test_a_frame_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"0_0\.png is 30x11, smaller than a patch of 12: remove it, or choose"):
        taken([[noise(11, 30), noise(22, 60)]], 1, patch=12, queries=4)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"patch": 8, "queries": 65}, "a crop of 8x8 cannot answer 65 queries"),
        ({"patch": 8, "queries": 4, "window": 9}, "a window of 9 does not fit into the smallest crop, 8x8"),
        ({"scales": {"kind": "uniform", "low": 0.5}}, "greater than or equal to 1"),
        ({"scales": {"kind": "uniform", "low": 3, "high": 2}}, "low 3 is above high 2"),
        ({"scales": {"kind": "choice", "of": []}}, "at least 1 item"),
        ({"scales": {"kind": "choice", "of": [[2, 0.9]]}}, "greater than or equal to 1"),
        ({"qeuries": 4}, "not permitted"),
    ],
)
def test_impossible_plans_are_refused(plan: dict[str, Any], message: str) -> None:
    """Crops of a batch must be alike: at scale 1 an 8 x 8 patch has no more than 64 pixels to ask for."""
    CropPlan.model_validate({"patch": 8, "queries": 64})
    with pytest.raises(ValidationError, match=message):
        CropPlan.model_validate(plan)


def test_no_picture_is_refused() -> None:
    with pytest.raises(RecipeError, match="there is no picture to train on"):
        made([], 1)


def test_all_pictures_alike() -> None:
    """Half the crops each, though one picture is three times as large: 200 of 400, give or take 3 deviations of 10."""
    dark, light = np.zeros((20, 20, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)
    crops = made([dark, light], 400, patch=4, queries=1, scales=(1.0, 2.0), drawn_by="scene")
    assert sum(float(crop.lr.mean() > 0.5) for crop in all_of(crops)) == pytest.approx(200, abs=30)


def test_chosen_scales() -> None:
    crops = made([noise(40, 40)], 60, patch=8, queries=4, drawn={"kind": "choice", "of": [2, 3.5, [2, 4]]}, flips=False)
    cells = {tuple(round(2 / side) for side in crop.cell.tolist()) for crop in all_of(crops)}
    assert cells == {(16, 16), (28, 28), (16, 32)}


def test_one_scale_per_batch() -> None:
    """Crops 0 to 3, 4 to 7, ... have one scale, batches differ, and the axes are not exchanged."""
    drawn = {"kind": "choice", "of": [[1.5, k / 4] for k in range(4, 17)]}
    crops = all_of(made([noise(40, 40)], 24, patch=8, queries=4, drawn=drawn, one_scale=True, batch=4))
    cells = torch.stack([crop.cell for crop in crops]).view(6, 4, 2)
    assert (cells == cells[:, :1]).all()
    assert len({tuple(cell) for cell in cells[:, 0].tolist()}) > 2
    assert (cells[..., 0] == 2 / 12).all()
    assert not all(same(crops[0], crop) for crop in crops[1:4])  # though the crops are different ones


def test_a_window_is_a_square_of_neighbours_row_by_row() -> None:
    """EQSR's batch: every tensor has the same size whatever the scale."""
    sides = set()
    for crop in all_of(made([places(60, 70)], 12, patch=8, window=8, scales=(1.0, 4.0))):
        assert crop.lr.shape == (3, 8, 8)
        assert crop.colours.shape == (64, 3)
        points = crop.points.view(8, 8, 2)
        torch.testing.assert_close(points[:, :, 0], points[:, :1, 0].expand(8, 8))
        torch.testing.assert_close(points[:, :, 1], points[:1, :, 1].expand(8, 8))
        torch.testing.assert_close(points[1:, 0, 0] - points[:-1, 0, 0], crop.cell[0].expand(7), rtol=0, atol=1e-6)
        hr = np.rint(crop.colours.view(8, 8, 3).numpy() * 255).astype(int)
        assert (abs(np.diff(hr[..., :2], axis=0)).sum(-1) == 1).all()
        sides.add(round(2 / float(crop.cell[0])))
    assert len(sides) > 6


def ramp(height: int, width: int) -> Picture:
    """Red says how far down a pixel's centre lies, green how far to the right: 0 to 250 over the whole picture."""
    down = (np.arange(height) + 0.5) / height * 250
    across = (np.arange(width) + 0.5) / width * 250
    picture = np.stack([*np.meshgrid(down, across, indexing="ij"), np.full((height, width), 60.0)], axis=-1)
    rounded: Picture = np.rint(picture).astype(np.uint8)
    return rounded


@pytest.mark.parametrize("size", [Size(74, 111), Size(61, 90), Size(40, 60)])
def test_a_photographed_pair_fits_to_a_fraction_of_a_pixel(size: Size) -> None:
    """LR and HR show the same two ramps: a point's colour says where it lies, and so does LR around it."""
    small = Size(40, 60)
    lr_step = np.array([250 / small.height, 250 / small.width])  # of the colour, per LR pixel
    for crop in all_of(taken([[ramp(*small), ramp(*size)]], 16, patch=10, queries=50)):
        turned_scale = 2 / (crop.cell.numpy() * 10)
        assert sorted(turned_scale) == pytest.approx(sorted((size.height / 40, size.width / 60)))
        codes = crop.lr.permute(1, 2, 0).numpy() * 255
        at = (crop.points.numpy() + 1) * 5 - 0.5  # LR pixels from the centre of the first
        assert at.min() >= -0.5
        assert at.max() <= 9.5
        slopes = [[codes[-1, 0, c] - codes[0, 0, c], codes[0, -1, c] - codes[0, 0, c]] for c in (0, 1)]
        for channel in (0, 1):
            expected = codes[0, 0, channel] + at @ np.array(slopes[channel]) / 9
            error = np.abs(expected - crop.colours[:, channel].numpy() * 255)
            assert error.max() < 2  # codes: rounding of both pictures; half an LR pixel would be 2 to 3
            assert abs((expected - crop.colours[:, channel].numpy() * 255).mean()) / lr_step[channel] < 0.2


def test_pairs_of_a_scene() -> None:
    """Random: any two of three; highest: the largest is always HR. Equal sizes make scale 1."""
    frames = [noise(16, 16), noise(24, 24, 2), noise(24, 24, 3), noise(40, 40, 4)]

    def scales(pairing: str) -> set[float]:
        crops = all_of(taken([frames], 80, patch=8, queries=2, pairing=pairing))
        return {round(2 / float(crop.cell[0]) / 8, 3) for crop in crops}

    assert scales("random") == {1.0, 1.5, 1.667, 2.5}
    assert scales("highest") == {1.667, 2.5}


def test_photographed_and_made_in_one_set() -> None:
    scenes, pictures = scenes_of([noise(40, 40)], [noise(20, 20), noise(40, 40, 2)])
    plan = CropPlan(patch=8, queries=4, drawn_by="scene")
    crops = all_of(RandomCrops(scenes, pictures, plan, Bicubic(), length=40))
    photographed = sum(crop.cell.tolist() == [0.125, 0.125] for crop in crops)
    assert 10 <= photographed <= 30


def test_augmentation_changes_colours_and_nothing_else() -> None:
    held = scenes_of([noise(40, 40)])
    plan, lighter = CropPlan(patch=8, queries=4), Augmentation(brightness_chance=1.0, brightness=(0.1, 0.1))
    plain = RandomCrops(*held, plan, Bicubic(), length=3)[2]
    changed = RandomCrops(*held, plan, Bicubic(), length=3, augmentation=lighter)[2]
    torch.testing.assert_close(changed.colours, (plain.colours + 0.1).clamp(max=1))
    assert torch.equal(changed.points, plain.points)
    assert not torch.equal(changed.lr, plain.lr)
