"""A motor on a board with Grbl 1.1 or grblHAL. `docs/motor.md` tells how to set one up.

After the interface notes of Grbl 1.1. A line is sent only when the one before it was answered. Moves are in machine
coordinates (G53), so that work offsets which another program has left make no difference. The board's settings are read
and never written.

A move is stopped by feed hold, and a soft reset once the hold has come to rest: `~` would go on to the old target,
while a reset at rest drops what is left of the move, raises no alarm and keeps the count. In motion it would lose it.
"""

from __future__ import annotations

import logging
import math

from anyzoom.capture.motor.board import STATES, UNKNOWN, GrblSettings, board_warnings, homes
from anyzoom.capture.motor.messages import (
    ALARMS,
    AXES,
    ERRORS,
    POSITION_KEPT,
    Alarm,
    Banner,
    Message,
    Noise,
    Note,
    Ok,
    Refusal,
    Setting,
    StartupLine,
    Status,
    parse,
)
from anyzoom.capture.motor.port import NAP_S, Port
from anyzoom.capture.rig import Clock, Ends, WallClock
from anyzoom.errors import MotorError, Stopped

POLL_S = 0.2  # Grbl's notes ask for no more than 5 status requests a second
MM_PER_INCH = 25.4
HOLD, RESET, JOG_CANCEL, ASK = b"!", b"\x18", b"\x85", b"?"
REST_S = 10.0  # the longest that a motor may take to slow down
CALM_S = 1.0  # Grbl still says Idle for a moment after it was told to move

log = logging.getLogger(__name__)


class _Halt(Exception):
    """A stop was asked for, and what moves has noticed."""


class GrblMotor:
    """Fulfils `Motor`. `stop` asks for the rest and returns; what moves sees it within 0.05 seconds.

    A port that has vanished stays so: once it is back, make a new motor.
    """

    ends: Ends | None = None

    def __init__(self, address: str, settings: GrblSettings | None = None, clock: Clock | None = None) -> None:
        """Raises MotorError for a port that cannot be opened or no Grbl, MissingExtra."""
        self.settings = settings or GrblSettings()
        self.name = f"the motor at {address}"
        self.restarted = False  # the board began to count anew when it was opened
        self._clock = clock or WallClock()
        self._axis = AXES.index(self.settings.axis)
        self._board: dict[int, float] = {}
        self._status: Status | None = None
        self._offset: tuple[float, ...] | None = None
        self._noise = ""
        self._asked_at = -math.inf
        self._zero = 0.0  # our count where the board's is zero
        self._counts = True
        self._moving = False  # a stop means something
        self._unsettled = False  # it may move although nobody waits for it
        self._stop_asked = False
        self._left_at: float | None = None  # where it stood when it was last seen, by the board's count
        self._port = Port(address, self.settings.baud, self._clock)
        try:
            self._open()
        except BaseException:
            self._port.close()
            raise

    @property
    def warnings(self) -> tuple[str, ...]:
        """What in the board's settings may spoil a run."""
        return board_warnings(self._board, self.settings, self.ends)

    @property
    def counts(self) -> bool:
        return self._counts and not self.restarted

    def declare(self, position: float) -> None:
        """An operator has shown that it stands at this position: count from there, also after an alarm."""
        before, self._counts = self._counts, True
        try:
            if self._unsettled:
                self._rest(HOLD)
            status = self._poll()
            if status.state == "Alarm":
                status = self._reset()
            self._left_at = self._machine(status)
            self._zero = position - self._left_at
        except BaseException:
            self._counts = before
            raise

    def reference(self) -> bool:
        """By `$H`. A stop meanwhile loses count: homing can only be reset."""
        if not homes(self._board):
            return False
        self._counts, self._stop_asked, self._moving, self._left_at = False, False, True, None
        try:
            self._ask("$H", self.settings.homing_s)
            self._zero, self.restarted, self._counts = 0.0, False, self._poll().state == "Idle"
        except _Halt:
            self._moving = False
            self._reset()
            raise Stopped(f"homing of {self.name} was stopped, so it has lost count. Home again.") from None
        finally:
            self._moving = False
        self._check_counts()
        return True

    def where(self) -> float:
        self._check_counts()
        return self._standing() + self._zero

    def move(self, position: float) -> None:
        if self.ends is None:
            raise MotorError("nobody has told where the lens ends. Show its ends first: until then only a jog moves.")
        self._travel("G53 G21 G90 G94 G1", self.ends.check(position), HOLD)

    def jog(self, distance: float) -> None:
        if not math.isfinite(distance):
            raise MotorError(f"a jog by {distance} leads nowhere. Give a number.")
        position = self.where() + distance
        self._travel("$J=G53 G21 G90", position if self.ends is None else self.ends.check(position), JOG_CANCEL)

    def stop(self) -> None:
        # nothing is sent from here: a byte that arrives when the move has just ended would hold up the next one
        if self._moving:
            self._stop_asked = True

    def close(self) -> None:
        if self._unsettled:
            try:
                self._rest(HOLD)
            except MotorError as error:
                log.warning("%s was left without having been seen at rest: %s", self.name, error)
        self._port.close()

    # moving

    def _travel(self, how: str, position: float, halt: bytes) -> None:
        self._check_counts()
        if self._unsettled:
            self._rest(halt)
            self._check_counts()
        start = self._standing()
        self._check_state(("Idle",))
        target = self._target(position)
        feed = min(self.settings.feed, self._board.get(110 + self._axis, math.inf))
        seconds = abs(target - start) / feed * 60 + self.settings.spare_s
        self._stop_asked, self._moving, self._unsettled, self._left_at = False, True, True, None
        try:
            self._ask(f"{how} {self.settings.axis}{target:.4f} F{self.settings.feed:g}", self.settings.answer_s)
            self._arrive(start, target, seconds)
            self._unsettled = False
        except _Halt:
            self._rest(halt)
            self._check_counts()
            raise Stopped(f"{self.name} was stopped at {self._standing() + self._zero:.3f}.") from None
        except BaseException:  # Ctrl-C too: whatever has gone wrong, nothing may go on moving
            self._rest(halt)
            raise
        finally:
            self._moving = False

    def _target(self, position: float) -> float:
        """In the board's own count, as it will be written: never rounded to beyond the ends."""
        target = round(position - self._zero, 4)
        if self.ends is not None:
            low, high = (end - self._zero for end in sorted(self.ends))
            target += 1e-4 * ((target < low) - (target > high))
        return round(target, 4)

    def _arrive(self, start: float, target: float, seconds: float) -> None:
        """`ok` is no arrival, and Idle may be a moment old: only Idle at the target counts."""
        low, high = sorted((start, target))
        near = self._near
        began = calm = self._clock.now()
        while True:
            status = self._poll()
            here, now = self._machine(status), self._clock.now()
            if status.state == "Idle" and abs(here - target) <= near:
                self._left_at = here
                return
            found = f"{self.name} is at {here + self._zero:.3f} on its way to {target + self._zero:.3f}"
            if not low - near <= here <= high + near:
                self._counts = False  # it may have restarted unheard
                raise MotorError(f"{found}, where it should not be. Look at cable and supply, then home or show it.")
            self._check_state(("Idle", "Run", "Jog"))
            low, high = sorted((here, target))  # it never goes back
            if status.state != "Idle":
                calm = now
            if now - calm > CALM_S:
                self._counts = False
                raise MotorError(f"{found}, and stands. Look at the board's supply, then home or show where it is.")
            if now - began > seconds:
                raise MotorError(f"{found} after {seconds:.0f} seconds, and was halted. Look at feed and acceleration.")

    def _rest(self, halt: bytes) -> None:
        """Come to rest, then drop what is left of the move. The count stays."""
        self._moving, self._unsettled = False, True
        give_up = self._clock.now() + REST_S
        while True:
            self._port.send(halt)
            status = self._poll()
            if status.state not in ("Run", "Jog", "Home") and not status.part:
                break
            if self._clock.now() > give_up:
                raise MotorError(f"{self.name} does not come to rest. Cut its power.")
        self._reset()
        self._unsettled = False

    def _reset(self) -> Status:
        """Soft reset. Loses count in motion. An alarm is unlocked where the count is kept, and only there."""
        self._left_at = None
        self._port.send(RESET)  # a late ok may come before the banner
        self._need(Banner, "the reset")
        status = self._asked()
        if status.state == "Alarm" and self._counts:
            self._port.send(b"$X\n")
            self._need(Ok, "$X")
            status = self._asked()
        return status

    # talking

    def _ask(self, line: str, within_s: float) -> list[Message]:
        """Send one line; what comes before its `ok`."""
        while self._listen(0) is not None:  # nothing old may be taken for the answer
            pass
        self._port.send(line.encode("ascii") + b"\n")
        give_up, said = self._clock.now() + within_s, list[Message]()
        while self._clock.now() < give_up:
            message = self._listen(POLL_S)
            if isinstance(message, Ok):
                return said
            if isinstance(message, Refusal):
                meaning = ERRORS.get(message.code, UNKNOWN)
                raise MotorError(
                    f"{self.name} refuses {line!r} with error:{message.code}, {meaning.what}. {meaning.remedy}."
                )
            if message is not None:
                said.append(message)
            elif self._clock.now() - self._asked_at >= POLL_S:
                self._ask_status()  # Grbl on a PC answers some lines only when the next byte comes
        raise self._silent(repr(line), within_s)

    def _poll(self) -> Status:
        """A status asked for just now."""
        while (left := self._asked_at + POLL_S - self._clock.now()) > 0:
            self._listen(left)
        give_up = self._clock.now() + self.settings.answer_s
        while self._clock.now() < give_up:
            self._ask_status()
            until = self._clock.now() + 1.0  # then again: the byte may have been lost
            while (left := until - self._clock.now()) > 0:
                if isinstance(message := self._listen(left), Status):
                    return message
        raise self._silent("?", self.settings.answer_s)

    def _ask_status(self) -> None:
        self._asked_at = self._clock.now()
        self._port.send(ASK)

    def _listen(self, wait_s: float) -> Message | None:
        """The next message, if it comes in time. Raises _Halt, and MotorError for what changes everything."""
        give_up = self._clock.now() + wait_s
        while True:
            if self._stop_asked and self._moving:
                raise _Halt
            left = give_up - self._clock.now()
            message = self._hear(min(left, NAP_S))
            if message is None and left > NAP_S:
                continue
            if isinstance(message, Alarm):
                self._moving = False
                self._reset()
                meaning = ALARMS.get(message.code, UNKNOWN)
                raise MotorError(f"{self.name} raised ALARM:{message.code}: {meaning.what}. {meaning.remedy}.")
            if isinstance(message, Banner) and self._counts:
                self._counts = False
                raise MotorError(f"{self.name} has restarted by itself and lost count. Look at its supply, then home.")
            return message

    def _hear(self, wait_s: float) -> Message | None:
        """The next message, noted and not acted upon."""
        line = self._port.line(wait_s)
        if line is None:
            return None
        message = parse(line)
        if isinstance(message, Status):
            self._status = message
            self._offset = message.offset or self._offset
        elif isinstance(message, Alarm):
            self._counts = self._counts and message.code in POSITION_KEPT
        elif isinstance(message, Noise | Note | StartupLine):
            self._noise = line or self._noise
            log.debug("%s says %r", self.name, line)
        return message

    def _await(self, kinds: type[Message] | tuple[type[Message], ...], wait_s: float) -> Message | None:
        """The next message of these kinds, whatever else comes before it."""
        give_up = self._clock.now() + wait_s
        while (left := give_up - self._clock.now()) >= 0:
            if isinstance(message := self._hear(left), kinds):
                return message
            if message is None:
                break
        return None

    def _need(self, kind: type[Message], what: str) -> Message:
        if (message := self._await(kind, self.settings.answer_s)) is None:
            raise self._silent(what, self.settings.answer_s)
        return message

    def _asked(self) -> Status:
        """A status, during which an alarm is noted and not acted upon."""
        self._ask_status()
        status = self._need(Status, "?")
        assert isinstance(status, Status)
        return status

    def _silent(self, asked: str, seconds: float) -> MotorError:
        self._counts = self._counts and not self._unsettled  # whoever hangs in motion may have restarted unheard
        return MotorError(
            f"{self.name} has not answered {asked} for {seconds:g} seconds. Look at its power and cable, and reset it."
        )

    # opening

    def _open(self) -> None:
        greeting = self._greet()
        if greeting:
            self._check_version(greeting.firmware, greeting.version)
        status = self._asked()
        if status.state in ("Run", "Jog", "Hold", "Door"):  # another program has left it so
            self._rest(JOG_CANCEL if status.state == "Jog" else HOLD)
        elif status.state in ("Home", "Sleep", "Check"):
            self._counts = self._counts and status.state == "Check"
            self._reset()
        told = {note.kind: note.text for note in self._ask("$I", self.settings.answer_s) if isinstance(note, Note)}
        firmware = told.get("FIRMWARE", greeting.firmware if greeting else "Grbl")
        version = told.get("VER", greeting.version if greeting else "").split(":")[0]
        self._check_version(firmware, version)
        self.name = f"{firmware} {version} at {self._port.address}"
        settings = [said for said in self._ask("$$", self.settings.answer_s) if isinstance(said, Setting)]
        self._board = {one.number: number for one in settings if (number := _number(one.value)) is not None}
        for _ in range(32):  # a board that reports work positions tells their offset with every 30th at the latest
            status = self._poll()
            if status.machine or self._offset:
                break
        self._counts = self._counts and status.state != "Alarm"
        self._machine(status)

    def _check_version(self, firmware: str, version: str) -> None:
        if not version or version.startswith(("0.", "1.0")):
            raise MotorError(f"{self._port.address} has {firmware} {version or '?'}. Load Grbl 1.1 or grblHAL onto it.")

    def _greet(self) -> Banner | None:
        """The banner; None from a board that has been running all along."""
        banner = self._await(Banner, self.settings.boot_s)
        if isinstance(banner, Banner):
            self.restarted = True
            return banner
        for _ in range(2):
            self._ask_status()
            if self._await(Status, 1.0) is not None:
                return None
        # after a limit alarm a board is deaf to all but a reset
        self._counts = False
        self._port.send(RESET)
        banner = self._await(Banner, self.settings.boot_s)
        if isinstance(banner, Banner):
            return banner
        raise MotorError(self._no_grbl())

    def _no_grbl(self) -> str:
        address, baud = self._port.address, self.settings.baud
        heard = self._port.unfinished() or self._noise
        if not heard:
            return f"{address} answers nothing at {baud} baud. Is the board powered, and is Grbl 1.1 on it?"
        if sum(not letter.isascii() or not letter.isprintable() for letter in heard) * 4 > len(heard):
            return f"{address} answers no text at {baud} baud, but {heard[:40]!a}. Grbl 1.1 speaks at 115200 baud."
        return f"{address} answers {heard[:60]!r}, which is no Grbl 1.1. Choose another port, or load Grbl onto it."

    # counting

    def _check_counts(self) -> None:
        if not self._counts:
            how = "Home it" if homes(self._board) else "Show where it stands: it has no switch to home to"
            raise MotorError(f"{self.name} does not know where it stands. {how}.")

    def _check_state(self, fit: tuple[str, ...]) -> None:
        state = self._status.state if self._status else "?"
        if state not in fit:
            self._counts = self._counts and state not in ("Alarm", "Sleep")
            raise MotorError(f"{self.name} {STATES.get(state, f'says {state}. Wait, or reset it')}.")

    @property
    def _near(self) -> float:
        """As near as a report tells: what it rounds, and half a step."""
        steps = self._board.get(100 + self._axis, 0.0)
        return 0.0015 + (0.5 / steps if steps > 0 else 0.01)

    def _standing(self) -> float:
        """Where the board counts itself now. Between two moves that does not change, unless it has lost count."""
        here = self._machine(self._poll())
        if self._left_at is not None and abs(here - self._left_at) > self._near:
            self._counts, before, self._left_at = False, self._left_at, None
            raise MotorError(
                f"{self.name} says {here + self._zero:.3f}, and stood at {before + self._zero:.3f}: it has restarted "
                f"unheard, or another program moves it. Home, or show where it stands."
            )
        if not self._unsettled:
            self._left_at = here
        return here

    def _machine(self, status: Status) -> float:
        """Where the board counts itself, in units of its axis."""
        positions = status.machine or tuple(
            work + offset for work, offset in zip(status.work or (), self._offset or (), strict=False)
        )
        if len(positions) <= self._axis:
            raise MotorError(f"{self.name} reports no position of an axis {self.settings.axis}. Choose another axis.")
        return positions[self._axis] * (MM_PER_INCH if self._board.get(13) else 1.0)


def _number(text: str) -> float | None:
    """None for what grblHAL keeps as text."""
    try:
        return float(text)
    except ValueError:
        return None
