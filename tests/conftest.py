"""What the tests of several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not (folder / "parity").is_dir():
        pytest.skip(f"the reference data are not here ({folder})")
    return folder
