"""A clock on which nobody waits: it goes on when somebody sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Fulfils `Clock`. A sleep moves it on at once, then lets everybody who watches do what has become due.

    Belongs to all threads; two that sleep side by side move it on by the sum of both.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._start = start
        self._now = 0.0
        self._lock = threading.Lock()
        self._watching: list[Callable[[], object]] = []

    def now(self) -> float:
        return self._now

    def today(self) -> datetime:
        return self._start + timedelta(seconds=self._now)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += max(seconds, 0.0)
            watching = tuple(self._watching)
        for act in watching:
            act()

    def jump(self, seconds: float) -> None:
        """Somebody sets the date and time; `now` does not care."""
        self._start += timedelta(seconds=seconds)

    def watch(self, act: Callable[[], object]) -> None:
        """Call this after every sleep, in the thread that slept."""
        with self._lock:
            self._watching.append(act)

    def unwatch(self, act: Callable[[], object]) -> None:
        with self._lock:
            self._watching.remove(act)
