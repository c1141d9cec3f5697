"""A motor on a plain Arduino with the sketch `docs/arduino/zoom_ring.ino`. `docs/motor.md` tells its few lines.

Every line carries a checksum. Targets are absolute, so that a line which was garbled, or whose answer was, is simply
sent again.
"""

from __future__ import annotations

import math
import re
from functools import reduce
from operator import xor

from pydantic import BaseModel, ConfigDict, Field

from anyzoom.capture.motor.port import NAP_S, Port
from anyzoom.capture.rig import Clock, Ends, WallClock
from anyzoom.errors import MotorError, Stopped

POLL_S = 0.1
TRIES = 4
GREETING = "zoom-ring 1"


class ArduinoSettings(BaseModel):
    """How to drive the sketch."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    baud: int = Field(default=115200, gt=0)
    steps_per_unit: float = Field(default=80.0, gt=0)  # of the driver, microsteps included
    steps_per_s: int = Field(default=400, ge=1, le=4000)
    boot_s: float = Field(default=2.5, gt=0)  # most boards start anew when their port is opened
    answer_s: float = Field(default=1.0, gt=0)  # after which a line is sent again, four times in all
    spare_s: float = Field(default=5.0, gt=0)  # that a move may take beyond its steps over its speed


def sealed(text: str) -> bytes:
    """A line with its checksum: the exclusive or of its bytes, in two hexadecimal digits after a star."""
    return f"{text}*{reduce(xor, text.encode('ascii'), 0):02x}\n".encode("ascii")


def opened(line: str) -> str | None:
    """What a line says; None for one that was garbled."""
    text, star, _ = line.rpartition("*")
    try:
        return text if star and sealed(text).decode().rstrip() == line else None
    except UnicodeEncodeError:
        return None


class ArduinoMotor:
    """Fulfils `Motor`. It has no switch; `stop` asks for the rest and returns, as with Grbl."""

    ends: Ends | None = None
    warnings: tuple[str, ...] = ("nothing homes, so an operator must show the ends after each start of the board.",)

    def __init__(self, address: str, settings: ArduinoSettings | None = None, clock: Clock | None = None) -> None:
        """Raises MotorError for a port that cannot be opened or another sketch, MissingExtra."""
        self.settings = settings or ArduinoSettings()
        self.name = f"Arduino at {address}"
        self.restarted = False  # the board began to count anew when it was opened
        self._clock = clock or WallClock()
        self._zero = 0.0
        self._counts = True
        self._greeted = False
        self._moving = False
        self._stop_asked = False
        self._port = Port(address, self.settings.baud, self._clock)
        try:
            self._open()
        except BaseException:
            self._port.close()
            raise

    @property
    def counts(self) -> bool:
        return self._counts and not self.restarted

    def declare(self, position: float) -> None:
        """An operator has shown that it stands at this position: count from there."""
        steps, _ = self._ask("where")
        self._zero, self._counts, self.restarted = position - steps / self.settings.steps_per_unit, True, False

    def reference(self) -> bool:
        return False

    def where(self) -> float:
        self._check_counts()
        steps, _ = self._ask("where")
        return self._zero + steps / self.settings.steps_per_unit

    def move(self, position: float) -> None:
        if self.ends is None:
            raise MotorError("nobody has told where the lens ends. Show its ends first: until then only a jog moves.")
        self._travel(self.ends.check(position))

    def jog(self, distance: float) -> None:
        if not math.isfinite(distance):
            raise MotorError(f"a jog by {distance} leads nowhere. Give a number.")
        position = self.where() + distance
        self._travel(position if self.ends is None else self.ends.check(position))

    def stop(self) -> None:
        if self._moving:
            self._stop_asked = True

    def close(self) -> None:
        self._port.close()

    def _open(self) -> None:
        heard = self._port.line(self.settings.boot_s)
        while heard is not None and opened(heard) != GREETING:
            heard = self._port.line(self.settings.boot_s)
        self.restarted = heard is not None
        _, still = self._ask("where")
        if not still:
            self._rest()
        self._greeted = True

    def _travel(self, position: float) -> None:
        self._check_counts()
        target = round((position - self._zero) * self.settings.steps_per_unit)
        if self.ends is not None:  # the nearest step may lie beyond an end; the next one does not
            low, high = ((end - self._zero) * self.settings.steps_per_unit for end in sorted(self.ends))
            target = max(math.ceil(low), min(math.floor(high), target))
        steps, _ = self._ask("where")
        seconds = abs(target - steps) / self.settings.steps_per_s + self.settings.spare_s
        give_up = self._clock.now() + seconds
        self._stop_asked, self._moving = False, True
        try:
            steps, still = self._ask(f"step {target} {self.settings.steps_per_s}")
            while not (still and steps == target):
                if self._stop_asked:
                    raise Stopped(f"{self.name} was stopped at {self._zero + self._rest():.3f}.")
                if still or self._clock.now() > give_up:
                    at = self._zero + steps / self.settings.steps_per_unit
                    raise MotorError(
                        f"{self.name} is at {at:g} after {seconds:.0f} seconds at most. Look at the board."
                    )
                self._pause()
                steps, still = self._ask("where")
        except Stopped:
            raise
        except BaseException:  # Ctrl-C too: whatever has gone wrong, nothing may go on moving
            self._rest()
            raise
        finally:
            self._moving = False

    def _rest(self) -> float:
        """Halt; where it stands then, in units from zero."""
        steps, still = self._ask("stop")
        while not still:
            steps, still = self._ask("where")
        return steps / self.settings.steps_per_unit

    def _pause(self) -> None:
        give_up = self._clock.now() + POLL_S
        while not self._stop_asked and (left := give_up - self._clock.now()) > 0:
            self._clock.sleep(min(left, NAP_S))

    def _ask(self, text: str) -> tuple[int, bool]:
        """Where it is, in steps, and whether it stands, once it has understood a line."""
        heard = ""
        for _ in range(TRIES):
            while self._heard(0) is not None:
                pass  # an answer that came too late
            self._port.send(b"\n" + sealed(text))  # ends whatever was left of a line before
            give_up = self._clock.now() + self.settings.answer_s
            while (line := self._heard(max(0.0, give_up - self._clock.now()))) is not None:
                heard = line or heard
                said = opened(line)
                if said is not None and (found := re.fullmatch(r"at (-?\d+) (still|moving)", said)):
                    return int(found[1]), found[2] == "still"
                if said == "garbled":
                    break
        told = f"answers {heard[:60]!a}" if heard else "answers nothing"
        raise MotorError(f"{self.name} {told}. Is zoom_ring.ino on it, and is the speed {self.settings.baud} baud?")

    def _heard(self, wait_s: float) -> str | None:
        line = self._port.line(wait_s)
        if self._greeted and line is not None and opened(line) == GREETING:
            self._counts = False
            raise MotorError(f"{self.name} has restarted by itself and lost count. Look at its supply.")
        return line

    def _check_counts(self) -> None:
        if not self._counts:
            raise MotorError(f"{self.name} does not know where it stands. Show where it stands: it has no switch.")
