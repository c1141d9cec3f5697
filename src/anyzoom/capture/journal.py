"""The diary of a run: a line for every step, on the disk before the next one begins.

A frame counts when a line `kept` says so. Before its files are moved into place, a line `keeping` says which they are
and what their hashes will be: so after any end of the program, what was in progress can be told from what was done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from anyzoom.capture.plan import Plan
from anyzoom.capture.rig import Clock
from anyzoom.errors import CannotRead, CaptureError
from anyzoom.image.part import refused_by_system

JOURNAL = "journal.jsonl"
Event = Literal[
    "planned",  # first of all: plan, rig and rules
    "configured",  # the camera: settings
    "referenced",  # positions count
    "moving",
    "arrived",
    "shooting",
    "rejected",  # a photograph did not pass a check: reason
    "keeping",
    "kept",
    "resumed",  # after a pause or an end: how far the last frame lies from where it was, reason
    "returned",
    "paused",  # reason
    "failed",  # reason
    "done",
]


class Line(BaseModel):
    """One line of journal.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: int  # from 0, one more each
    at: datetime  # by a clock that somebody may set: the order is that of the numbers
    event: Event
    frame: int | None = None  # of the plan's stops; -1 is the photograph taken again
    attempt: int | None = None
    position: float | None = None  # of the motor
    files: dict[str, str] | None = None  # name in the run's folder -> SHA-256; the picture first, then its raw
    grown: float | None = None  # how many times larger this frame shows everything than the last
    reason: str | None = None
    plan: Plan | None = None
    rules: str | None = None  # SHA-256 of all settings that a run must not change
    rig: str | None = None  # the motor and the camera, in words
    settings: dict[str, str] | None = None


class Journal:
    """The journal of one folder, open for one program at a time."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open, or begin. Raises CaptureError when another program has it, CannotRead, CannotWrite."""
        self.path, self.clock = folder / JOURNAL, clock
        with refused_by_system(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
        try:
            _claim(self._file.fileno(), folder)
            self.lines, whole = read_journal(self.path)
            with refused_by_system(self.path):
                self._file.truncate(whole)  # what a killed program has left unfinished
        except BaseException:
            self._file.close()
            raise

    def write(self, event: Event, **told: object) -> Line:
        """Add a line; it is on the disk when this returns. Raises CannotWrite."""
        line = Line.model_validate({"number": len(self.lines), "at": self.clock.today(), "event": event, **told})
        with refused_by_system(self.path):
            self._file.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self.lines.append(line)
        return line

    def kept(self) -> dict[int, Line]:
        """The last line `kept` of every frame, with the files of the line `keeping` before it."""
        found: dict[int, Line] = {}
        for line in self.lines:
            if line.event == "kept" and line.frame is not None:
                found[line.frame] = line
        return found

    def last(self, event: Event) -> Line | None:
        return next((line for line in reversed(self.lines) if line.event == event), None)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_journal(path: Path) -> tuple[list[Line], int]:
    """The lines of a journal, and how many bytes they take; a last line without an end is left out.

    Raises CannotRead for a file of something else, or one with a line missing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror}.") from error
    whole = content.rfind(b"\n") + 1
    lines = list(_parsed(path, content[:whole]))
    return lines, whole


def _parsed(path: Path, content: bytes) -> Iterator[Line]:
    for number, row in enumerate(content.splitlines()):
        try:
            line = Line.model_validate_json(row)
        except ValidationError as error:
            raise CannotRead(f"{path}, line {number + 1}: not a journal of this anyzoom.") from error
        if line.number != number:
            raise CannotRead(f"{path}, line {number + 1}: says that it is line {line.number + 1}; a line is missing.")
        yield line


def _claim(descriptor: int, folder: Path) -> None:
    """Keep other programs out until this one ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # not POSIX
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CaptureError(
            f"{folder}: another program is recording there. Wait for it, or choose another folder."
        ) from error
