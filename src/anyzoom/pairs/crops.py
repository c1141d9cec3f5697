"""Training crops from high-resolution pictures: LR by MATLAB's bicubic, a free scale for every crop.

The scheme of LIIF (Chen et al., CVPR 2021) and of all that follow it: a scale s from U(1, 4), an HR square of
round(p s) pixels shrunk to p x p, flips and transpose, and the colours of a few HR pixels at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from anyzoom.errors import RecipeError
from anyzoom.grid import Size, cell_of, pixel_centres, size_for
from anyzoom.image.resample import resample


class Crop(NamedTuple):
    """One training example."""

    lr: Tensor  # 3 p p in [0, 1], 8-bit representable
    points: Tensor  # q yx in [-1, 1]
    cell: Tensor  # yx
    colours: Tensor  # q 3 in [0, 1], the truth at those points


class RandomCrops(Dataset[Crop]):
    """Crop i depends on (seed, i) alone: workers, resuming and debugging see the same data.

    Pictures are drawn in proportion to their areas, positions inside one uniformly. Raises RecipeError when
    there is no picture, when one is smaller than a crop, and when the smallest crop has fewer pixels than are
    asked for.
    """

    def __init__(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        length: int,
        patch: int = 48,
        queries: int = 256,
        *,
        scales: tuple[float, float] = (1.0, 4.0),
        seed: int = 0,
    ) -> None:
        smallest, largest = (size_for(Size(patch, patch), scale) for scale in scales)
        if not pictures:
            raise RecipeError("there is no picture to train on.")
        if queries > smallest.pixels:
            raise RecipeError(
                f"a crop of {smallest} cannot answer {queries} queries: ask for at most {smallest.pixels}, "
                f"or choose a larger patch or smallest scale."
            )
        for number, picture in enumerate(pictures):
            if min(picture.shape[:2]) < largest.height:
                raise RecipeError(
                    f"picture {number} is {Size(*picture.shape[:2])}, smaller than a crop of {largest}: "
                    f"remove it, or choose a smaller patch or largest scale."
                )
        self.pictures = pictures
        self.length = length
        self.patch = patch
        self.queries = queries
        self.scales = scales
        self.seed = seed
        areas = np.array([picture.shape[0] * picture.shape[1] for picture in pictures], dtype=np.float64)
        self.chances = np.cumsum(areas / areas.sum())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Crop:
        if not 0 <= i < self.length:
            raise IndexError(f"crop {i} of {self.length}")  # which also ends a plain `for`
        rng = np.random.default_rng((self.seed, i))
        number = min(int(np.searchsorted(self.chances, rng.random(), side="right")), len(self.pictures) - 1)
        picture = self.pictures[number]
        size = size_for(Size(self.patch, self.patch), rng.uniform(*self.scales))
        top = rng.integers(picture.shape[0] - size.height + 1)
        left = rng.integers(picture.shape[1] - size.width + 1)
        hr = picture[top : top + size.height, left : left + size.width]
        hr = hr[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        if rng.random() < 0.5:
            hr = hr.swapaxes(0, 1)
        lr = resample(hr.astype(np.float32) / 255, size=Size(self.patch, self.patch))
        lr = np.rint(lr.clip(0, 1) * 255) / 255
        asked = torch.from_numpy(rng.choice(size.pixels, self.queries, replace=False))
        like = torch.from_numpy(lr)
        return Crop(
            lr=like.permute(2, 0, 1).contiguous(),
            points=pixel_centres(size, like).view(-1, 2)[asked],
            cell=cell_of(size, like),
            colours=torch.from_numpy(hr.reshape(-1, 3)[asked.numpy()].astype(np.float32) / 255),
        )
