"""What Grbl 1.1 and grblHAL say, line by line, and what their numbers mean.

After the interface notes of Grbl 1.1 and its tables of alarms, errors and settings; numbers that only grblHAL has are
told as such. A line of no known kind is `Noise`: boards and cables add their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

AXES = "XYZABC"


class Ok(NamedTuple):
    """The last line was understood; what it asked for may be under way."""


class Refusal(NamedTuple):
    """`error:n`, in place of `ok`."""

    code: int


class Alarm(NamedTuple):
    """Something has gone wrong; comes at any time, and in place of `ok`."""

    code: int


class Status(NamedTuple):
    """The answer to `?`."""

    state: str  # Idle Run Hold Jog Alarm Door Check Home Sleep Tool
    part: int | None  # of Hold: 0 stands, 1 slows down; of Door: 0 closed to 3
    machine: tuple[float, ...] | None  # per axis; a board reports either this
    work: tuple[float, ...] | None  # or this, machine less offset
    offset: tuple[float, ...] | None  # comes only now and then


class Setting(NamedTuple):
    """A line of the answer to `$$`."""

    number: int
    value: str


class Banner(NamedTuple):
    """The first line after a reset."""

    firmware: str  # Grbl or GrblHAL
    version: str


class Note(NamedTuple):
    """A line in brackets: `[MSG:Caution: Unlocked]`, `[VER:1.1h.20190825:]`."""

    kind: str
    text: str


class StartupLine(NamedTuple):
    """`>G54G20:ok`: a line that the board keeps and runs after a reset."""

    line: str
    result: str


class Noise(NamedTuple):
    """Anything else."""

    text: str


Message = Ok | Refusal | Alarm | Status | Setting | Banner | Note | StartupLine | Noise


def parse(line: str) -> Message:
    """One line, without its end."""
    text = line.strip()
    for pattern, made in KINDS.items():
        if found := re.fullmatch(pattern, text):
            message = made(found)
            return Noise(text) if message is None else message
    return Noise(text)


def _status(found: re.Match[str]) -> Status | None:
    """None for one that was damaged on its way; fields that nobody needs may hold anything."""
    first, *fields = found[1].split("|")
    state = re.fullmatch(r"([A-Z][a-z]+)(?::(\d+))?", first)
    if state is None:
        return None
    known = dict(field.partition(":")[::2] for field in fields)
    try:
        machine, work, offset = (
            tuple(float(number) for number in known[key].split(",")) if key in known else None
            for key in ("MPos", "WPos", "WCO")
        )
    except ValueError:
        return None
    return Status(state[1], int(state[2]) if state[2] else None, machine, work, offset)


KINDS: Mapping[str, Callable[[re.Match[str]], Message | None]] = {
    r"ok": lambda _: Ok(),
    r"error:(\d+)": lambda found: Refusal(int(found[1])),
    r"ALARM:(\d+)": lambda found: Alarm(int(found[1])),
    r"<([^<>]*)>": _status,
    r"\$(\d+)=([^()]*?)\s*(?:\(.*\))?": lambda found: Setting(int(found[1]), found[2]),
    r"(Grbl|GrblHAL|grblHAL) (\d\S*)(?: .*)?": lambda found: Banner(found[1], found[2]),
    r"\[([A-Za-z0-9 ]+):?(.*)\]": lambda found: Note(found[1], found[2]),
    r">(.*):(ok|error:\d+)": lambda found: StartupLine(found[1], found[2]),
}


class Meaning(NamedTuple):
    """What a number says, and what to do."""

    what: str
    remedy: str


ALARMS: Mapping[int, Meaning] = {
    1: Meaning("a limit switch was hit, and the position is lost", "Turn the ring off the switch by hand, then home"),
    2: Meaning("the target lies beyond the board's soft limits", "Check $130 and where the board was homed"),
    3: Meaning("it was reset while it moved, and the position is lost", "Home, or show where it stands"),
    4: Meaning("a probe was not in its first state", "This rig has no probe: look for a program that sends G38"),
    5: Meaning("a probe touched nothing", "This rig has no probe: look for a program that sends G38"),
    6: Meaning("homing was interrupted by a reset", "Home again"),
    7: Meaning("the safety door was opened while homing", "Close it, or disconnect its input, and home again"),
    8: Meaning("the limit switch did not open while homing", "Raise the pull-off $27, or look at the switch and $5"),
    9: Meaning("homing found no limit switch", "Look at its wires, at $5 and $23, or raise the travel $130"),
    10: Meaning(
        "homing found no second limit switch of a double axis, or an emergency stop is pressed", "Look at both"
    ),
    11: Meaning("it must be homed first", "Home"),
    12: Meaning("a limit switch is pressed", "Turn the ring off the switch by hand, then home"),
    17: Meaning("a motor driver reports a fault", "Look at the motor's wires and its supply, then reset the board"),
}
POSITION_KEPT = frozenset({2, 4, 5, 11})  # nothing was halted in motion

ERRORS: Mapping[int, Meaning] = {
    1: Meaning("a word without its letter", "The line was garbled: look at the cable and the baud rate"),
    2: Meaning("a word without its number", "The line was garbled: look at the cable and the baud rate"),
    3: Meaning("a $ command it does not know", "Use Grbl 1.1 or grblHAL"),
    4: Meaning("a negative value where none may be", "Check the setting"),
    5: Meaning("homing is off", "Set $22=1 if there is a limit switch"),
    6: Meaning("step pulses shorter than 3 microseconds", "Raise $0"),
    7: Meaning("its memory could not be read, and its settings are the defaults now", "Enter your settings again"),
    8: Meaning("it is not idle", "Wait, or stop what moves it"),
    9: Meaning("it is locked by an alarm, or in a jog", "Home, or show where it stands"),
    10: Meaning("soft limits without homing", "Set $22=1 first, or $20=0"),
    11: Meaning("a line that is too long", "The line was garbled: look at the cable and the baud rate"),
    12: Meaning("more steps per second than it can make", "Lower $110 or $100"),
    13: Meaning("the safety door is open", "Close it, or disconnect its input"),
    14: Meaning("a line too long for its memory", "Shorten it"),
    15: Meaning("the jog would leave the board's soft limits", "Jog by less, or check $130"),
    16: Meaning("a jog with words that a jog must not have", "Use Grbl 1.1 or grblHAL"),
    17: Meaning("laser mode without a PWM output", "Set $32=0"),
    20: Meaning("a G-code that it does not know", "Use Grbl 1.1 or grblHAL"),
    21: Meaning("two G-codes that exclude each other", "The line was garbled: look at the cable"),
    22: Meaning("no feed", "Give one"),
    23: Meaning("a fraction where a whole number must be", "The line was garbled: look at the cable"),
    24: Meaning("two G-codes that both need the axis", "The line was garbled: look at the cable"),
    25: Meaning("a word twice", "The line was garbled: look at the cable"),
    26: Meaning("no axis to move", "Check the axis in the settings: the board may lack it"),
    27: Meaning("a line number that cannot be", "The line was garbled: look at the cable"),
    28: Meaning("a G-code without a value that it needs", "The line was garbled: look at the cable"),
    29: Meaning("a coordinate system that it lacks", "Use G54 to G59"),
    30: Meaning("G53 without G0 or G1", "The line was garbled: look at the cable"),
    31: Meaning("an axis that nothing uses", "The line was garbled: look at the cable"),
    32: Meaning("an arc without an axis in its plane", "The line was garbled: look at the cable"),
    33: Meaning("a target that cannot be reached", "The line was garbled: look at the cable"),
    34: Meaning("an arc whose radius cannot be", "The line was garbled: look at the cable"),
    35: Meaning("an arc without its centre", "The line was garbled: look at the cable"),
    36: Meaning("words that nothing uses", "Check the axis in the settings: the board may lack it"),
    37: Meaning("a tool offset on another axis than the tool's", "The line was garbled: look at the cable"),
    38: Meaning("a tool number that is too large", "The line was garbled: look at the cable"),
}
