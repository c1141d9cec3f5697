"""One run, directed from outside: `record` works in a thread of its own, and everybody may look and ask meanwhile.

The Director is also the run's operator: a question of the recorder waits until somebody has answered it.
"""

from __future__ import annotations

import logging
import math
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from anyzoom.capture.check import Rules
from anyzoom.capture.journal import JOURNAL, Line, read_journal
from anyzoom.capture.plan import Plan
from anyzoom.capture.record import AGAIN, Rig, record
from anyzoom.errors import AnyzoomError, CaptureError, MotorError

State = Literal["ready", "running", "pausing", "paused", "done", "failed"]
REMEMBERED = 5  # rejections that are told
logger = logging.getLogger(__name__)


class Point(BaseModel):
    """Of the magnification curve."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    position: float  # of the motor
    magnification: float | None  # of the first frame, times; None: what was taken did not tell


class Question(BaseModel):
    """What the recorder wants to know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int  # one more each, so that no answer goes to another question
    words: str


class Status(BaseModel):
    """How a run stands."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int  # grows with every change
    run: str  # name of its folder
    state: State
    reason: str  # why it is paused or has failed; may be empty
    kept: int  # photographs
    wanted: int
    doing: str  # what is under way, in words
    seconds_left: float | None  # None: nobody knows yet
    rejected: int  # photographs that did not pass, since the run began
    rejections: tuple[str, ...]  # why; the last ones, the latest first
    span: tuple[float, float]  # positions of the first and the last frame
    curve: tuple[Point, ...]  # of the frames that are kept, in their order
    picture: str | None  # name of the last one that was kept
    question: Question | None
    ending: bool  # somebody has stopped it: nothing can be started any more
    ended: bool  # and nothing runs any more


class Director:
    """Starts, pauses and ends one run. Every method may be called from any thread."""

    def __init__(
        self, folder: Path, plan: Plan | None, rig: Rig, rules: Rules | None = None, *, shot_bytes: int = 0
    ) -> None:
        """plan: of a new run; None goes on with what the folder holds, and so does the plan that is there already.

        Raises CaptureError for a folder with no run to go on with, or one of another plan; CannotRead.
        """
        self.folder = folder
        self._plan, self._rules, self._shot_bytes = plan, rules, shot_bytes
        self._rig = rig._replace(operator=self)
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], object]] = []
        self._worker: threading.Thread | None = None
        self._over = threading.Event()  # nothing runs, and nothing can be started any more
        self._asked_to_stop = threading.Event()
        self._heard = False  # the recorder was told so
        self._answered = threading.Event()
        self._answer = False
        self._question: Question | None = None
        self._questions = 0
        self._version = 0
        self._ending = False
        self._state: State = "ready"
        self._reason = ""
        self._doing = ""
        self._lines: list[Line] = []
        self._announced: Line | None = None
        self._frames: dict[int, Line] = {}  # kept ones: what `keeping` said of them
        self._curve: tuple[Point, ...] = ()
        self._kept_at: float | None = None  # by the rig's clock, since `start`
        self._intervals: list[float] = []  # seconds from one kept photograph to the next

        if (folder / JOURNAL).is_file():
            for line in read_journal(folder / JOURNAL)[0]:
                self._note(line)
        planned = self._lines[0].plan if self._lines else None
        if planned and plan and planned != plan:
            raise CaptureError(f"{folder} holds a run of another plan. Resume that one, or choose another folder.")
        shown = planned or plan
        if shown is None:
            raise CaptureError(f"{folder} holds no run to go on with: it has no {JOURNAL}.")
        self._shown = shown
        self._curve = curve(shown, self._frames)
        if planned:
            last = self._lines[-1]
            self._state = "done" if last.event == "done" else "paused"
            told = last.reason or "" if last.event in ("paused", "failed") else "The program ended in the middle."
            self._reason = "" if self._state == "done" else told
            self._doing = ""

    def start(self) -> None:
        """Begin the run, or go on with it. Raises CaptureError when it is done, pausing, or was stopped."""
        with self._lock:
            if self._state == "running":
                return
            if self._ending:
                raise CaptureError("this server is ending. Resume the run with: anyzoom capture resume.")
            if self._state == "done":
                raise CaptureError("the run is done.")
            if self._state == "pausing":
                raise CaptureError("the run is still coming to rest. Start it when it is paused.")
            self._state, self._reason, self._doing = "running", "", "Getting ready"
            self._asked_to_stop.clear()
            self._heard = False
            self._kept_at = None
            # A thread that outlives everything would keep a program alive whose camera hangs.
            self._worker = threading.Thread(target=self._work, name="recorder", daemon=True)
            self._worker.start()
            self._changed()

    def pause(self) -> None:
        """Come to rest soon; `start` goes on. Does nothing where nothing runs."""
        with self._lock:
            if self._state != "running":
                return
            self._state = "pausing"
            self._asked_to_stop.set()
            self._decide(False)
            self._changed()
        with suppress(MotorError):  # the recorder meets that too, and tells
            self._rig.motor.stop()

    def stop(self) -> None:
        """Pause for good: nothing can be started here any more."""
        with self._lock:
            self._ending = True
            self._end()
            self._changed()
        self.pause()

    def answer(self, number: int, agrees: bool) -> None:
        """Answer a question. Raises CaptureError when that one is not asked any more."""
        with self._lock:
            if self._question is None or self._question.number != number:
                raise CaptureError("this question has been answered, or is not asked any more.")
            self._decide(agrees)
            self._changed()

    def agrees(self, question: str) -> bool:
        """Ask whoever looks, and wait for the answer; pausing answers no."""
        with self._lock:
            if self._asked_to_stop.is_set():
                return False
            self._answered.clear()
            self._answer = False
            self._questions += 1
            self._question = Question(number=self._questions, words=question)
            self._changed()
        self._answered.wait()
        return self._answer

    def state(self) -> Status:
        """How the run stands."""
        with self._lock:
            rejected = [line for line in self._lines if line.event == "rejected"]
            stops = self._shown.stops
            return Status(
                version=self._version,
                run=self.folder.name,
                state=self._state,
                reason=self._reason,
                kept=len(self._frames),
                wanted=self._shown.shots,
                doing=self._doing,
                seconds_left=self._seconds_left(),
                rejected=len(rejected),
                rejections=tuple(f"{named(line.frame)}: {line.reason}" for line in reversed(rejected[-REMEMBERED:])),
                span=(stops[0].position, stops[-1].position),
                curve=self._curve,
                picture=self._picture(),
                question=self._question,
                ending=self._ending,
                ended=self._over.is_set(),
            )

    @contextmanager
    def telling(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener` after every change meanwhile, from any thread. It must be quick, and ask nothing back."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def wait(self, seconds: float | None = None) -> bool:
        """Until somebody has stopped it and nothing runs any more; whether that is so."""
        return self._over.wait(seconds)

    # in the recorder's thread

    def _work(self) -> None:
        try:
            outcome = record(
                self.folder,
                None if self._lines else self._plan,
                self._rig,
                self._rules,
                shot_bytes=self._shot_bytes,
                told=self._told,
                stops=self._stops,
            )
        except AnyzoomError as error:
            self._rest("failed", str(error))
        except Exception as error:
            logger.exception("the recorder has ended")
            self._rest("failed", f"this is a mistake of the program: {type(error).__name__}. Its log tells more.")
        else:
            self._rest(outcome.state, "" if self._heard else outcome.reason)

    def _rest(self, state: State, reason: str) -> None:
        with self._lock:
            self._state, self._reason, self._doing = state, reason, ""
            self._worker = None
            self._end()
            self._changed()

    def _told(self, line: Line) -> None:
        now = self._rig.clock.now()
        with self._lock:
            self._note(line)
            if line.event == "kept":
                if self._kept_at is not None:
                    self._intervals.append(now - self._kept_at)
                self._kept_at = now
                self._curve = curve(self._shown, self._frames)
            self._changed()

    def _stops(self) -> bool:
        self._heard = self._asked_to_stop.is_set()
        return self._heard

    # with the lock held

    def _note(self, line: Line) -> None:
        """Take in a line of the journal."""
        self._lines.append(line)
        self._doing = in_words(line)
        if line.event == "keeping":
            self._announced = line
        elif line.event == "kept" and line.frame is not None and self._announced:
            self._frames.pop(line.frame, None)  # the last one stands last
            self._frames[line.frame] = self._announced

    def _changed(self) -> None:
        self._version += 1
        for listener in self._listeners:
            listener()

    def _decide(self, agrees: bool) -> None:
        if self._question:
            self._question, self._answer = None, agrees
            self._answered.set()

    def _end(self) -> None:
        if self._ending and self._worker is None:
            self._over.set()

    def _seconds_left(self) -> float | None:
        """By the pace so far: the median, for a way back or a retry is no rule."""
        if self._state == "done" or not self._intervals:
            return None
        left = (self._shown.shots - len(self._frames)) * statistics.median(self._intervals)
        if self._state == "running" and self._kept_at is not None:
            left -= min(self._rig.clock.now() - self._kept_at, statistics.median(self._intervals))
        return max(0.0, left)

    def _picture(self) -> str | None:
        """The first of a frame's files."""
        last = next(reversed(self._frames.values()), None)
        return next(iter(last.files), None) if last and last.files else None


def curve(plan: Plan, kept: dict[int, Line]) -> tuple[Point, ...]:
    """The magnification of every kept frame against the first.

    A frame whose growth could not be measured is a gap. What follows it stands as much higher as the plan says that
    the gap grew, or else by the pace of the steps around it.
    """
    frames = sorted(frame for frame in kept if frame != AGAIN)
    if not frames:
        return ()
    positions = np.array([plan.stops[frame].position for frame in frames])
    steps = np.abs(np.diff(positions))
    grown = [kept[frame].grown for frame in frames[1:]]
    paces = np.array([math.log(one) / step if one else math.nan for one, step in zip(grown, steps, strict=True)])
    measured = np.isfinite(paces)
    for at, frame in enumerate(frames[1:]):
        if not measured[at] and (expected := plan.grows(frame)):
            paces[at] = math.log(expected) / steps[at]
    known = np.isfinite(paces)
    if not known.any():
        first, *others = (float(position) for position in positions)
        return (
            Point(position=first, magnification=1.0),
            *(Point(position=position, magnification=None) for position in others),
        )
    paces = np.interp(np.arange(len(paces)), np.flatnonzero(known), paces[known])
    total = np.exp(np.concatenate([[0.0], np.cumsum(paces * steps)]))
    return tuple(
        Point(position=float(position), magnification=float(value) if there else None)
        for position, value, there in zip(positions, total, [True, *measured], strict=True)
    )


def named(frame: int | None) -> str:
    return "The long end, once more" if frame == AGAIN else f"Frame {frame}"


def in_words(line: Line) -> str:
    """What a line of the journal says is under way."""
    which = "the long end, once more" if line.frame == AGAIN else f"frame {line.frame}"
    told: dict[str, str] = {
        "planned": "Getting ready",
        "configured": "The camera is set",
        "referenced": "The ring's position is known",
        "moving": f"Turning the ring for {which}",
        "arrived": f"Letting the ring rest for {which}",
        "shooting": f"Photographing {which}",
        "rejected": f"{named(line.frame)} did not pass",
        "keeping": f"Storing {which}",
        "kept": f"{named(line.frame)} is stored",
        "resumed": f"Going on after {which}",
        "returned": "Back at the wide end",
    }
    return told.get(line.event, "")
