"""How long it takes."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any


def progress_bar(quiet: bool = False) -> Any:
    """A bar with the time left, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
