"""Where the time of a run goes."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Seconds of all starts of a run, and what the present one spent waiting for data and on validation."""

    def __init__(self, seconds: float, step: int) -> None:
        """seconds: of all starts before this one, which begins after `step` steps."""
        self.before, self.begun = seconds, time.monotonic()
        self.waited = self.rested = 0.0
        self.first = step

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    @property
    def training(self) -> float:
        """Seconds of this start without validation."""
        return time.monotonic() - self.begun - self.rested

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For data."""
        start = time.monotonic()
        yield
        self.waited += time.monotonic() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While something else than training is done."""
        start = time.monotonic()
        yield
        self.rested += time.monotonic() - start

    def pace(self, step: int) -> float:
        """Steps per second of this start."""
        return (step - self.first) / max(self.training, 1e-9)

    def line(self, step: int) -> dict[str, float]:
        """What is noted: seconds in all, steps per second, the share spent waiting for data, peak memory in MiB."""
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, KiB elsewhere
        line = {
            "step": step,
            "seconds": round(self.seconds, 1),
            "steps_per_second": round(self.pace(step), 3),
            "waiting": round(self.waited / max(self.training, 1e-9), 4),
            "memory_mib": round(used / (1 << 20 if sys.platform == "darwin" else 1 << 10)),
        }
        if torch.cuda.is_available():
            line["device_mib"] = round(torch.cuda.max_memory_allocated() / (1 << 20))
        return line
