"""Training crops, of scenes photographed at several sizes and of single pictures whose LR is made on the spot.

Where LR is made: a scale s, an HR square of round(p s) pixels, shrunk to p x p by a degradation (LIIF, Chen et al.,
CVPR 2021). Where it was photographed: a pair of frames of one scene (COZ, Fu et al., CVPR 2024), an LR square of p
pixels anywhere, and those HR pixels whose centres lie in it. The authors round the square's corner to an HR pixel and
so train on pairs shifted by up to half of one; here the remainder stays in the points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from anyzoom.degrade import Degradation
from anyzoom.errors import RecipeError
from anyzoom.grid import Size, first_pixel_at, size_for
from anyzoom.pairs.augment import Augmentation, augment
from anyzoom.pairs.cache import PictureCache
from anyzoom.pairs.plan import CropPlan
from anyzoom.pairs.scene import Frame, Scene


class Crop(NamedTuple):
    """One training example."""

    lr: Tensor  # 3 p p in [0, 1]
    points: Tensor  # q yx in [-1, 1], in the crop's own frame; of a window row by row
    cell: Tensor  # yx, an HR pixel's height and width in that frame
    colours: Tensor  # q 3 in [0, 1], the truth at those points


class Cut(NamedTuple):
    """An LR patch and the HR pixels that lie in it."""

    lr: NDArray[np.float32]  # p p 3 in [0, 1]
    hr: NDArray[np.uint8]  # H W 3
    rows: NDArray[np.float64]  # H: where their centres lie, in [-1, 1] of the LR square
    columns: NDArray[np.float64]  # W
    cell: tuple[float, float]  # yx

    def flipped(self) -> Cut:
        """Upside down."""
        return self._replace(lr=self.lr[::-1], hr=self.hr[::-1], rows=-self.rows[::-1])

    def transposed(self) -> Cut:
        return Cut(self.lr.swapaxes(0, 1), self.hr.swapaxes(0, 1), self.columns, self.rows, self.cell[::-1])


def check_scenes(scenes: Sequence[Scene], plan: CropPlan) -> None:
    """Raises RecipeError when there is no scene, or one that is smaller than a crop."""
    if not scenes:
        raise RecipeError("there is no picture to train on.")
    patch, largest = plan.patch, size_for(Size(plan.patch, plan.patch), plan.scales.extremes[1])
    for scene in scenes:
        least = scene.frames[0].size
        if len(scene.frames) == 1 and (least.height < largest.height or least.width < largest.width):
            raise RecipeError(
                f"{scene.frames[0].path} is {least}, smaller than a crop of {largest}: "
                f"remove it, or choose a smaller patch or largest scale."
            )
        if min(least) < patch:
            raise RecipeError(
                f"{scene.frames[0].path} is {least}, smaller than a patch of {patch}: "
                f"remove it, or choose a smaller patch."
            )


class RandomCrops(Dataset[Crop]):
    """Crop i depends on (seed, i) alone, and its scale on (seed, i // batch) where a batch has but one.

    So workers, resuming and debugging see the same data. Raises RecipeError when there is no scene, or one that is
    smaller than a crop.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        pictures: PictureCache,
        plan: CropPlan,
        degradation: Degradation,
        *,
        length: int,
        batch: int = 1,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        check_scenes(scenes, plan)
        self.scenes, self.pictures, self.plan, self.degradation = scenes, pictures, plan, degradation
        self.length, self.batch, self.seed, self.augmentation = length, batch, seed, augmentation
        weights = [float(scene.frames[-1].size.pixels) if plan.drawn_by == "area" else 1.0 for scene in scenes]
        self.chances = np.cumsum(weights) / sum(weights)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Crop:
        if not 0 <= i < self.length:
            raise IndexError(f"crop {i} of {self.length}")  # which also ends a plain `for`
        rng = np.random.default_rng((self.seed, i))
        scene = self.scenes[min(int(np.searchsorted(self.chances, rng.random(), side="right")), len(self.scenes) - 1)]
        cut = self._made(scene.frames[0], i, rng) if len(scene.frames) == 1 else self._photographed(scene.frames, rng)
        if self.plan.flips:  # a batch of one scale stays one if that of both axes is not exchanged
            cut = turned(cut, rng, transposing=not self.plan.one_scale or cut.cell[0] == cut.cell[1])
        height, width = len(cut.rows), len(cut.columns)
        if self.plan.window is None:
            asked = rng.choice(height * width, self.plan.queries, replace=False)
        else:
            top, left = (int(rng.integers(side - self.plan.window + 1)) for side in (height, width))
            asked = np.arange(height * width).reshape(height, width)
            asked = asked[top : top + self.plan.window, left : left + self.plan.window].ravel()
        points = np.stack([cut.rows[asked // width], cut.columns[asked % width]], axis=-1)
        lr, colours = cut.lr, cut.hr.reshape(-1, 3)[asked].astype(np.float32) / np.float32(255)
        if self.augmentation is not None:
            lr, colours = augment(lr, colours, self.augmentation, rng)
        return Crop(
            lr=torch.from_numpy(lr.transpose(2, 0, 1).copy()),
            points=torch.from_numpy(points.astype(np.float32)),
            cell=torch.tensor(cut.cell, dtype=torch.float32),
            colours=torch.from_numpy(colours),
        )

    def _made(self, frame: Frame, i: int, rng: np.random.Generator) -> Cut:
        """An HR square anywhere in a picture, and what the degradation makes of it."""
        plan, hr = self.plan, self.pictures[frame]
        scale = plan.scales.drawn(np.random.default_rng((self.seed, i // self.batch, 1)) if plan.one_scale else rng)
        size = size_for(Size(plan.patch, plan.patch), scale)
        top, left = (int(rng.integers(side - crop + 1)) for side, crop in zip(hr.shape[:2], size, strict=True))
        hr = hr[top : top + size.height, left : left + size.width]
        lr_size = Size(plan.patch, plan.patch)
        lr = self.degradation.shrink(hr.astype(np.float32) / np.float32(255), lr_size, rng).pixels
        rows, columns = (centres(0, side, plan.patch, side / plan.patch, 0) for side in size)
        return Cut(lr, hr, rows, columns, (2 / size.height, 2 / size.width))

    def _photographed(self, frames: Sequence[Frame], rng: np.random.Generator) -> Cut:
        """A square of one frame and what a larger one shows there."""
        highest = self.plan.pairing == "highest"
        narrow, wide = (
            (int(rng.integers(len(frames) - 1)), len(frames) - 1)
            if highest
            else sorted(rng.choice(len(frames), 2, replace=False).tolist())
        )
        lr, hr = self.pictures[frames[narrow]], self.pictures[frames[wide]]
        patch, parts, cell = self.plan.patch, [], []
        for small, large in zip(lr.shape[:2], hr.shape[:2], strict=True):
            start = int(rng.integers(small - patch + 1))
            first, last = (first_pixel_at(border, small, large) for border in (start, start + patch))
            parts.append((slice(start, start + patch), slice(first, last)))
            cell.append(2 * small / (large * patch))
        (rows, hr_rows), (columns, hr_columns) = parts
        scales = [large / small for small, large in zip(lr.shape[:2], hr.shape[:2], strict=True)]
        return Cut(
            lr[rows, columns].astype(np.float32) / np.float32(255),
            hr[hr_rows, hr_columns],
            centres(hr_rows.start, hr_rows.stop, patch, scales[0], rows.start),
            centres(hr_columns.start, hr_columns.stop, patch, scales[1], columns.start),
            (cell[0], cell[1]),
        )


def centres(first: int, last: int, patch: int, scale: float, start: int) -> NDArray[np.float64]:
    """Of HR pixels `first` to `last - 1`, in [-1, 1] of the patch of LR pixels that begins at `start`."""
    lr_pixels = (np.arange(first, last, dtype=np.float64) + 0.5) / scale - start
    return lr_pixels * (2 / patch) - 1


def turned(cut: Cut, rng: np.random.Generator, transposing: bool) -> Cut:
    """One of the eight flips and transposes, or of the four flips."""
    if rng.random() < 0.5:
        cut = cut.flipped()
    if rng.random() < 0.5:
        cut = cut.transposed().flipped().transposed()
    if transposing and rng.random() < 0.5:
        cut = cut.transposed()
    return cut
