"""A run small enough for a test, and VGG19 without its training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anyzoom.image import Photo, write_image
from anyzoom.pairs import Scene, read_scenes
from anyzoom.train import Recipe

TINY: dict[str, Any] = {
    "config": {"encoder": {"width": 8, "depth": 1}},
    "crops": {"patch": 8, "queries": 64, "scales": {"kind": "uniform", "high": 3.0}},
    "optimiser": {"rate": 1e-2},
    "schedule": {"kind": "trapezoid", "warm_up": 3},
    "steps": 8,
    "batch": 2,
    "log_every": 3,
    "save_every": 3,
    "validate_every": 3,
    "average": 0.9,
    "precision": "32-true",
}


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Tables are joined, unless they are of another kind; other values are replaced."""
    joined = {
        key: merged(old[key], new[key])
        for key in old.keys() & new.keys()
        if isinstance(new[key], dict) and new[key].get("kind", old[key].get("kind")) == old[key].get("kind")
    }
    return old | new | joined


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    """A recipe of a second or so; any key can be given another value."""
    return lambda **changes: Recipe.model_validate(merged(TINY, changes))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bright disc on a gradient, 24 by 24 pixels."""
    y, x = np.mgrid[:24, :24] / 24
    picture = np.stack([x, y, np.where(np.hypot(x - 0.5, y - 0.5) < 0.3, 0.9, 0.1)], axis=-1)
    folder = tmp_path_factory.mktemp("pictures")
    write_image(Photo((picture * 255).astype(np.uint8)), folder / "disc.png")
    return folder


@pytest.fixture(scope="session")
def disc(pictures: Path) -> list[Scene]:
    """That folder as scenes."""
    return list(read_scenes(pictures, "hr").scenes)


# The convolutions' places in the network, and their channels in and out (Simonyan and Zisserman, 2015, column E).
PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)


@pytest.fixture(scope="session")
def vgg19() -> dict[str, Tensor]:
    """Random weights under the names of published files, in half precision, and a key that is of no use."""
    generator = torch.Generator().manual_seed(3)
    weights = {"classifier.0.bias": torch.zeros(4096)}
    for place, inside, outside in zip(PLACES, CHANNELS[:-1], CHANNELS[1:], strict=True):
        kernel = torch.randn(outside, inside, 3, 3, generator=generator) * math.sqrt(2 / (9 * inside))
        weights[f"features.{place}.weight"] = kernel.half()
        weights[f"features.{place}.bias"] = torch.randn(outside, generator=generator).mul(0.1).half()
    return weights
