"""What takes a run: a motor that turns the zoom ring, a camera, and the clock by which both wait.

Positions are absolute and in the motor's own unit: "mm" of a board's axis, which may be degrees of the ring.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from anyzoom.errors import MotorError


class Clock(Protocol):
    """Waits for everybody; a simulated rig's takes no time."""

    def now(self) -> float:
        """Seconds that only grow, from anywhere; unlike `today` nobody can set them."""
        ...

    def today(self) -> datetime:
        """The date and time, UTC."""
        ...

    def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The computer's."""

    def now(self) -> float:
        return time.monotonic()

    def today(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Ends(NamedTuple):
    """Where the motor stands at the lens's ends; either may be the larger number."""

    wide: float
    tele: float

    def check(self, position: float) -> float:
        """The position itself. Raises MotorError when it lies outside."""
        low, high = sorted(self)
        if not low <= position <= high:
            raise MotorError(f"position {position:g} lies outside of the lens's ends, {low:g} to {high:g}.")
        return position


class Motor(Protocol):
    """Turns the ring. Everything but `stop` belongs to one thread.

    All but `close` raise MotorError: a port that has vanished, an alarm, a refusal.
    """

    name: str  # what it is and where, for people
    ends: Ends | None  # no move goes beyond them; None: nobody has told them, and only `jog` moves

    @property
    def counts(self) -> bool:
        """Whether positions mean what they meant before: since it was referenced, shown, or never switched off."""
        ...

    def declare(self, position: float) -> None:
        """An operator has shown that it stands at this position: count from there."""
        ...

    def reference(self) -> bool:
        """Make positions count from where they always do: by a switch. False: it has none, an operator must show."""
        ...

    def where(self) -> float:
        """Where it stands, by its own count. Raises MotorError when it has lost count and nobody has shown it since."""
        ...

    def move(self, position: float) -> None:
        """Go there and return when it stands. Raises MotorError beyond the ends, before anything moves; Stopped."""
        ...

    def jog(self, distance: float) -> None:
        """Go on by so much, within the ends where they are known, and return when it stands. Raises Stopped."""
        ...

    def stop(self) -> None:
        """Come to rest, from any thread or signal handler; the position stays known. What moves raises Stopped."""
        ...

    def close(self) -> None:
        """Let the port go; nothing moves afterwards."""
        ...


class Camera(Protocol):
    """Takes photographs. All but `close` raise CameraError: not there, claimed by another program, busy, full, hung."""

    name: str

    def settings(self) -> dict[str, str]:
        """Those that matter for a run, as the camera has them now."""
        ...

    def configure(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Set each by value, and read it back. Raises CameraError for one that it lacks or whose choices lack that."""
        ...

    def shoot(self, folder: Path, stem: str) -> tuple[Path, ...]:
        """Take one photograph; its files, whole and flushed, as `folder/stem.*`: the picture first, then its raw."""
        ...

    def close(self) -> None: ...
