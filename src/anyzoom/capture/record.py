"""A run, from the first journal line to scene.json: move, settle, shoot, check, keep; and on again after any end.

The order of things is what makes a run safe. A line in the journal comes before what it announces. A photograph is
taken into a folder of its own, checked there, announced with its hashes, and only then moved to its place. So whatever
ends the program, every frame is there once, or not at all and will be taken again.

The ring is driven one way, from the wide to the long end. Where the motor must turn back it goes too far by the
backlash and comes back, so that the belt always pulls from the same side.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from anyzoom.capture.check import Look, Rules, fault, grown, looked_at, similarity, stalled
from anyzoom.capture.journal import JOURNAL, Journal, Line
from anyzoom.capture.plan import Plan
from anyzoom.capture.rig import Camera, Clock, Motor
from anyzoom.errors import AnyzoomError, CameraError, CannotRead, CaptureError, MotorError, Stopped
from anyzoom.image.part import new_part, publish, refused_by_system

SCENE = "scene.json"
TAKEN, REJECTED = ".taken", "rejected"  # folders in a run's
AGAIN = -1  # the number of the photograph that is taken again
RESERVE = 100_000_000  # bytes that are left free
logger = logging.getLogger(__name__)


class Operator(Protocol):
    """Somebody at the rig."""

    def agrees(self, question: str) -> bool:
        """Whether to go on; False where nobody is asked."""
        ...


class Alone:
    """Nobody."""

    def agrees(self, question: str) -> bool:
        return False


class Outcome(NamedTuple):
    """How far a run has come."""

    state: Literal["done", "paused"]
    kept: int  # photographs
    wanted: int
    reason: str = ""  # why it is paused


class Rig(NamedTuple):
    """What a run is taken with."""

    motor: Motor
    camera: Camera
    clock: Clock
    settings: Mapping[str, str] = {}  # of the camera
    operator: Operator = Alone()


def record(
    folder: Path,
    plan: Plan | None,
    rig: Rig,
    rules: Rules | None = None,
    *,
    shot_bytes: int = 0,
    told: Callable[[Line], None] | None = None,
    stops: Callable[[], bool] | None = None,
) -> Outcome:
    """Take the run of a plan into a new folder; without one, go on with the run that the folder holds.

    shot_bytes: what a photograph will take, to see that there is room for all. told: hears every line of the journal.
    stops: whether somebody wants it to stop, asked between steps. What cannot be mended at once pauses the run, with
    the reason in the journal. Raises CaptureError when the folder holds another run or none, another program records
    there, or its rules were others; CannotRead for a journal or a frame that is damaged or gone; CannotWrite.
    """
    rules = rules or Rules()
    _check_folder(folder, fresh=plan is not None)
    with Journal(folder, rig.clock) as journal:
        run = Run(folder, journal, rig, rules, told, stops)
        if plan is not None:
            if journal.lines:
                raise CaptureError(f"{folder} holds a run already. Resume it, or choose another folder.")
            needed = plan.shots * shot_bytes + RESERVE
            if (free := shutil.disk_usage(folder).free) < needed:
                raise CaptureError(
                    f"{folder}: the run takes about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. "
                    f"Free some space, or write elsewhere."
                )
            names = f"{rig.motor.name}; {rig.camera.name}"
            run.write("planned", plan=plan, rules=_digest(rules, rig.settings), rig=names)
        return run.go()


def _check_folder(folder: Path, *, fresh: bool) -> None:
    has = (folder / JOURNAL).is_file()
    if not fresh and not has:
        raise CaptureError(f"{folder} holds no run to go on with: it has no {JOURNAL}.")
    if fresh and not has and folder.exists() and any(folder.iterdir()):
        raise CaptureError(f"{folder} is not empty. Choose a new folder for the run.")


def _digest(rules: Rules, settings: Mapping[str, str]) -> str:
    told = json.dumps([rules.model_dump(mode="json"), dict(settings)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


class Verdict(NamedTuple):
    """Of one photograph."""

    wrong: str = ""  # empty: it is kept
    growth: float | None = None  # how many times larger it shows everything than the frame before
    look: Look | None = None
    astray: bool = False  # the ring is not where it should be


class Run:
    """A run under way."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        rig: Rig,
        rules: Rules,
        told: Callable[[Line], None] | None,
        stops: Callable[[], bool] | None,
    ) -> None:
        self.folder, self.journal, self.rig, self.rules = folder, journal, rig, rules
        self.told, self.stops = told, stops
        self.before: Look | None = None  # the last frame that was kept
        self.from_wide = False  # whether the belt pulls as it does in a run

    def write(self, event: str, **told: object) -> Line:
        line = self.journal.write(event, **told)  # type: ignore[arg-type]
        if self.told:
            self.told(line)
        return line

    @property
    def plan(self) -> Plan:
        planned = self.journal.last("planned")
        if planned is None or planned.plan is None:
            raise CannotRead(f"{self.journal.path}: begins without a plan. Choose another folder.")
        return planned.plan

    def go(self) -> Outcome:
        """Everything that is still to do."""
        plan = self.plan
        planned = self.journal.last("planned")
        if planned and planned.rules != _digest(self.rules, self.rig.settings):
            raise CaptureError(
                f"{self.folder}: its run began with other rules or camera settings. Resume it with those."
            )
        self._settle_files()
        self._check_kept()
        if self.journal.last("done"):
            return Outcome("done", plan.shots, plan.shots)
        try:
            self._prepare()
            self._resume()
            order = [AGAIN, *range(len(plan.stops))] if plan.again else list(range(len(plan.stops)))
            for number in order:
                if number not in self.journal.kept():
                    self._take(number)
            self._finish()
        except (Stopped, CaptureError) as error:
            self.write("paused", reason=str(error))
            return Outcome("paused", len(self.journal.kept()), plan.shots, str(error))
        except AnyzoomError as error:
            with suppress(AnyzoomError):  # on a full disk not even this can be told
                self.write("failed", reason=str(error))
            raise
        return Outcome("done", plan.shots, plan.shots)

    def _prepare(self) -> None:
        rig = self.rig
        if rig.motor.ends is None:
            raise MotorError("nobody has told where the lens's ends are. Show them with: anyzoom capture ends.")
        for stop in self.plan.stops:
            rig.motor.ends.check(stop.position)
        self.write("configured", settings=rig.camera.configure(rig.settings))
        how = "by its switch" if rig.motor.reference() else "as it has since"
        if not rig.motor.counts:
            how = "as the operator has shown it"
            wide = rig.motor.ends.wide
            if not rig.operator.agrees(
                f"Turn the ring to the wide end by hand, position {wide:g}. Does it stand there?"
            ):
                raise MotorError("the motor has lost count, and nobody has shown where the ring stands.")
            rig.motor.declare(wide)
            self.from_wide = False
        self.write("referenced", position=rig.motor.where(), reason=how)

    def _resume(self) -> None:
        """Where frames are kept: back to the last one, and see whether everything is as it was."""
        kept = [number for number in self.journal.kept() if number != AGAIN]
        if not kept:
            return
        last = max(kept)
        path = self.folder / self._files(last)[0]
        stored = Look(path)
        self._approach(self.plan.stops[last].position, last)
        files = self._shot(last, "resumed")
        found = looked_at(files[0])
        same = similarity(stored, found) if isinstance(found, Look) else None
        _remove(self.folder / TAKEN)
        told = f"frame {last} cannot be compared with the one that was taken before"
        if same:
            told = (
                f"frame {last} shows everything x{same.scale:.4f} as large, {100 * same.shift:.2f} % of the width aside"
            )
        rules = self.rules
        fits = same and abs(same.scale - 1) <= rules.same_scale and same.shift <= rules.same_shift
        if not fits and not self.rig.operator.agrees(f"{told}. Go on from here?"):
            raise CaptureError(f"{told}. The rig has changed: begin a new run, or put it back and resume.")
        self.before = stored
        self.write("resumed", frame=last, reason=told)

    def _take(self, number: int) -> None:
        """One photograph, as often as it may be tried."""
        plan, rules = self.plan, self.rules
        position = plan.stops[number].position  # of the last one, where it is taken again
        expected = None if number == AGAIN else plan.grows(number)
        for attempt in range(rules.retries + 1):
            self._approach(position, number)
            files: tuple[Path, ...] = ()
            try:
                files = self._shot(number, str(attempt), attempt=attempt)
                found = self._judged(files, number, expected)
            except CameraError as error:
                if not error.again:
                    raise
                found = Verdict(str(error))
            if not found.wrong:
                self._keep(number, files, found.growth)
                self.before = self.before if number == AGAIN else found.look
                return
            self.write("rejected", frame=number, attempt=attempt, reason=found.wrong, grown=found.growth)
            self._put_aside(files, attempt)
            self.from_wide = not found.astray  # else come to it once more, from the same side
        raise CaptureError(f"{_named(number)}, {rules.retries + 1} times: {found.wrong.rstrip('.')}.")

    def _judged(self, files: tuple[Path, ...], number: int, expected: float | None) -> Verdict:
        look = looked_at(files[0])
        if isinstance(look, str):
            return Verdict(look)
        before = None if number == AGAIN else self.before
        growth = grown(before, look) if before else None
        if wrong := fault(look, before, growth, self.rules):
            return Verdict(wrong)
        astray = stalled(growth, expected, self.rules)
        return Verdict(astray or "", growth, look, astray is not None)

    def _approach(self, position: float, number: int) -> None:
        """Go to a position in the run's direction, and wait."""
        self._check_stop()
        motor, direction = self.rig.motor, self.plan.direction
        here = motor.where()
        if (position - here) * direction < 0 or not self.from_wide:
            further = position - direction * self.rules.backlash
            low, high = sorted(motor.ends) if motor.ends else (further, further)
            if here != (further := min(max(further, low), high)):
                self.write("moving", frame=number, position=further)
                motor.move(further)
        self.write("moving", frame=number, position=position)
        motor.move(position)
        self.from_wide = True
        self.write("arrived", frame=number, position=motor.where())
        self.rig.clock.sleep(self.rules.settle_s)
        self._check_stop()

    def _shot(self, number: int, stem: str, attempt: int | None = None) -> tuple[Path, ...]:
        """Files in a folder of their own."""
        taken = self.folder / TAKEN
        with refused_by_system(taken):
            _remove(taken)
            taken.mkdir()
        if shutil.disk_usage(self.folder).free < RESERVE:
            raise CaptureError(
                f"{self.folder}: less than {RESERVE / 1e6:.0f} MB are free. Free some space, then resume."
            )
        self.write("shooting", frame=number, attempt=attempt)
        return self.rig.camera.shoot(taken, stem)

    def _keep(self, number: int, files: tuple[Path, ...], growth: float | None) -> None:
        stem = "again" if number == AGAIN else f"frame_{number:03d}"
        named = {stem + path.suffix.lower(): _sha256(path) for path in files}
        for path in files:
            path.rename(path.with_name(stem + path.suffix.lower()))
        self.write("keeping", frame=number, files=named, grown=growth, position=self.rig.motor.where())
        self._move(named)
        self.write("kept", frame=number)

    def _move(self, named: Mapping[str, str]) -> None:
        """Files of the taken folder to their places, on the disk."""
        with refused_by_system(self.folder):
            for name in named:
                (self.folder / TAKEN / name).replace(self.folder / name)
            _sync(self.folder)

    def _put_aside(self, files: tuple[Path, ...], attempt: int) -> None:
        """A rejected photograph is kept apart: somebody may want to see why."""
        count = sum(line.event == "rejected" for line in self.journal.lines)
        with refused_by_system(self.folder):
            for path in files:
                aside = self.folder / REJECTED
                aside.mkdir(exist_ok=True)
                path.replace(aside / f"{count:03d}_try_{attempt}{path.suffix.lower()}")

    def _settle_files(self) -> None:
        """After any end of the program: finish what was announced, and drop what was not."""
        announced = self.journal.lines[-1] if self.journal.lines else None
        if announced and announced.event == "keeping" and announced.files:
            names = announced.files
            there = {name for name in names if _holds(self.folder / name, names[name])}
            waiting = {name for name in names if _holds(self.folder / TAKEN / name, names[name])}
            if there | waiting == set(names):
                self._move({name: names[name] for name in sorted(set(names) - there)})
                self.write("kept", frame=announced.frame)
            else:
                for name in there:
                    (self.folder / name).unlink()
        _remove(self.folder / TAKEN)

    def _files(self, number: int) -> list[str]:
        """Of a kept frame, the picture first."""
        lines = [line for line in self.journal.lines if line.event == "keeping" and line.frame == number]
        return list((lines[-1].files or {}) if lines else {})

    def _check_kept(self) -> None:
        for number in self.journal.kept():
            line = next(x for x in reversed(self.journal.lines) if x.event == "keeping" and x.frame == number)
            for name, digest in (line.files or {}).items():
                if not _holds(self.folder / name, digest):
                    raise CannotRead(f"{self.folder / name}: gone or changed since it was taken. Begin a new run.")

    def _check_stop(self) -> None:
        if self.stops and self.stops():
            raise Stopped("stopped. Resume it with: anyzoom capture resume.")

    def _finish(self) -> None:
        plan = self.plan
        rows = [
            {"file": self._files(number)[0], "ring": stop.position, "step": number}
            for number, stop in enumerate(plan.stops)
        ]
        scene = {"version": 1, "frames": rows} | ({"again": self._files(AGAIN)[0]} if plan.again else {})
        path = self.folder / SCENE
        with refused_by_system(path):
            part = new_part(path)
            part.write_text(json.dumps(scene, indent=1) + "\n", "utf-8")
            publish(path, part, path, overwrite=True)
        _remove(self.folder / TAKEN)
        self.rig.motor.move(plan.stops[0].position)
        self.write("returned", position=self.rig.motor.where())
        self.write("done")


def _named(number: int) -> str:
    return "the photograph that is taken again" if number == AGAIN else f"frame {number}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and _sha256(path) == digest


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    with suppress(OSError):  # some systems cannot sync folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
