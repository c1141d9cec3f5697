"""Pictures to photograph where no photograph is at hand.

Dead leaves: discs of all sizes that cover each other, a model whose statistics are those of natural pictures at every
scale (Lee, Mumford and Huang, Occlusion Models for Natural Images, IJCV 2001); here half of them are squares, for
their corners.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size, Window

SMALLEST = 3.0  # pixels, radius of a leaf
LARGEST = 0.2  # of the picture's longer side
COVERS = 4  # how often leaves cover the picture


def dead_leaves(size: Size, seed: int = 0) -> NDArray[np.uint8]:
    """A picture `h w 3` full of edges at every scale."""
    rng = np.random.default_rng(seed)
    picture = np.full((*size, 3), 128, np.uint8)
    largest = max(LARGEST * max(size), 2 * SMALLEST)
    span = SMALLEST**-2 - largest**-2  # radii fall with the third power: their inverse squares are spread evenly
    mean_area = 2 * math.pi * math.log(largest / SMALLEST) / span
    for _ in range(math.ceil(COVERS * size.pixels / mean_area)):
        radius = (SMALLEST**-2 - rng.random() * span) ** -0.5
        y, x = rng.uniform((0, 0), size)
        box = Window(math.ceil(y - radius), math.ceil(x - radius), math.ceil(y + radius), math.ceil(x + radius))
        box = box.common(Window.whole(size))
        down, across = np.arange(box.top, box.bottom)[:, None] - y, np.arange(box.left, box.right) - x
        turn = rng.uniform(0, math.pi)
        if rng.random() < 0.5:
            inside = np.hypot(down, across) < radius
        else:
            inside = np.abs(down * math.cos(turn) + across * math.sin(turn)) < radius / math.sqrt(2)
            inside &= np.abs(across * math.cos(turn) - down * math.sin(turn)) < radius / math.sqrt(2)
        picture[box.slices][inside] = (rng.uniform(10, 245) + rng.uniform(-50, 50, 3)).clip(0, 255)
    return picture


def bare_wall(size: Size, seed: int = 0) -> NDArray[np.uint8]:
    """A picture `h w 3` in which nothing can be found again: light that falls off slowly over one colour."""
    rng = np.random.default_rng(seed)
    slope = rng.uniform(-20, 20, 2)
    down, across = np.linspace(-0.5, 0.5, size.height)[:, None], np.linspace(-0.5, 0.5, size.width)
    shade = (slope[0] * down + slope[1] * across)[..., None] + rng.uniform(110, 150, 3)
    wall: NDArray[np.uint8] = np.rint(shade).astype(np.uint8)
    return wall
