"""A run small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anyzoom.train import Recipe

TINY: dict[str, Any] = {
    "config": {"encoder": {"width": 8, "depth": 1}},
    "steps": 8,
    "batch": 2,
    "patch": 8,
    "queries": 64,
    "scales": (1.0, 3.0),
    "learning_rate": 1e-2,
    "warm_up": 3,
    "save_every": 3,
    "average": 0.9,
    "precision": "32-true",
}


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    """A recipe of a second or so; any key can be given another value."""
    return lambda **changes: Recipe.model_validate(TINY | changes)


@pytest.fixture
def disc() -> NDArray[np.uint8]:
    """A bright disc on a gradient, 24 by 24 pixels."""
    y, x = np.mgrid[:24, :24] / 24
    picture = np.stack([x, y, np.where(np.hypot(x - 0.5, y - 0.5) < 0.3, 0.9, 0.1)], axis=-1)
    return (picture * 255).astype(np.uint8)
