"""A rig of nothing but arithmetic: positions are numbers, photographs are enlarged parts of one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from anyzoom.capture.rig import Ends
from anyzoom.capture.simulate.scenes import dead_leaves
from anyzoom.errors import CameraError, MotorError
from anyzoom.grid import Size

WIDTH, HEIGHT = 240, 160
ZOOM = 1.6  # from end to end
TRAVEL = 10.0


class Time:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.offset = timedelta()

    def now(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds) + self.offset

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Ring:
    """A motor with play: driven back, the ring stays behind by `backlash`."""

    name = "a motor"

    def __init__(self, backlash: float = 0.0) -> None:
        self.ends: Ends | None = Ends(0, TRAVEL)
        self.at, self.ring, self.backlash = 3.0, 3.0, backlash
        self.stuck = False
        self.lost = False
        self.moves: list[float] = []

    @property
    def counts(self) -> bool:
        return not self.lost

    def declare(self, position: float) -> None:
        self.at, self.ring, self.lost = position, position, False

    def reference(self) -> bool:
        return False

    def where(self) -> float:
        if self.lost:
            raise MotorError("the motor has lost count.")
        return self.at

    def move(self, position: float) -> None:
        assert self.ends is not None
        self.at = self.ends.check(position)
        self.moves.append(position)
        if not self.stuck:
            self.ring = min(max(self.ring, position), position + self.backlash)

    def jog(self, distance: float) -> None:
        self.move(self.at + distance)

    def stop(self) -> None: ...

    def close(self) -> None: ...


@cache
def world() -> Image.Image:
    return Image.fromarray(dead_leaves(Size(round(HEIGHT * ZOOM), round(WIDTH * ZOOM)), seed=3))


def photograph(ring: float, aside: float = 0.0) -> Image.Image:
    """What the lens shows at a position of the ring."""
    share = ZOOM ** (-ring / TRAVEL)
    width, height = WIDTH * ZOOM * share, HEIGHT * ZOOM * share
    left, top = (world().width - width) / 2 + aside * share, (world().height - height) / 2
    return world().resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, (left, top, left + width, top + height))


class Box:
    """A camera; `spoil` may change a photograph on its way, by the number of the shot."""

    name = "a camera"

    def __init__(self, ring: Ring, spoil: Callable[[int, Image.Image], Image.Image] | None = None) -> None:
        self.ring, self.spoil = ring, spoil
        self.shots = 0
        self.refusals: dict[int, str] = {}
        self.final: set[int] = set()  # of these, what it is no use to repeat
        self.truncated: set[int] = set()
        self.configured: dict[str, str] = {}

    def settings(self) -> dict[str, str]:
        return self.configured

    def configure(self, wanted: Mapping[str, str]) -> dict[str, str]:
        if "aperture" in wanted:
            raise CameraError("this camera has no setting aperture.")
        self.configured = dict(wanted)
        return self.configured

    def shoot(self, folder: Path, stem: str) -> tuple[Path, ...]:
        number, self.shots = self.shots, self.shots + 1
        if number in self.refusals:
            raise CameraError(self.refusals[number], again=number not in self.final)
        picture = photograph(self.ring.ring)
        if self.spoil:
            picture = self.spoil(number, picture)
        path, raw = folder / f"{stem}.JPG", folder / f"{stem}.NEF"
        picture.save(path, "JPEG", quality=95)
        if number in self.truncated:
            path.write_bytes(path.read_bytes()[:2000])
        raw.write_bytes(np.float64(self.ring.ring).tobytes())  # tells where the ring was
        return path, raw

    def close(self) -> None: ...
