"""A camera on a USB cable, driven through libgphoto2 in a process of its own.

A request that hangs or crashes the library costs that process: it is killed, another is started, the camera is
initialised again with the settings that it was given, and the request is repeated, RESTARTS times.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat

from anyzoom.capture.camera.session import Session
from anyzoom.capture.camera.settings import NAMES, Setting, absent, not_kept, word
from anyzoom.capture.camera.troubles import ABSENT_CAMERA, FULL, Lost, Refused, given_up
from anyzoom.capture.rig import Clock, WallClock
from anyzoom.errors import CameraError
from anyzoom.image.formats import RAW_EXTENSIONS
from anyzoom.image.part import new_part, publish, refused_by_system

RESTARTS = 2
Ask = Callable[..., Any]  # an operation and its arguments -> the answer
PAUSE_S = 1.0  # before a restart: a camera needs a moment to appear again
log = logging.getLogger(__name__)


class TetheredSettings(BaseModel):
    """How to talk to the camera; what it shall be set to is another matter."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    port: str | None = None  # such as usb:001,004; needed where several cameras are plugged in
    deadline_s: PositiveFloat = 60.0  # for every request, the longest exposure included
    quiet_s: PositiveFloat = 0.2  # after a shot, until no further file is expected
    raw_s: NonNegativeFloat = 10.0  # how long the second file of RAW+JPEG may take to be announced


class Plugged(NamedTuple):
    """A camera that is plugged in, and what it answers."""

    model: str
    port: str
    settings: dict[str, str]
    problem: str | None  # why it answers nothing


class TetheredCamera:
    """Fulfils Camera. A picture is deleted from the camera once it lies whole on the disk."""

    def __init__(self, settings: TetheredSettings | None = None, clock: Clock | None = None) -> None:
        self._talk, self._clock = settings or TetheredSettings(), clock or WallClock()
        self._wanted: dict[str, str] = {}
        self._session: Session | None = None
        self._model: str | None = None
        self.name = "the camera"
        self._ask("cameras")

    def settings(self) -> dict[str, str]:
        return self._settings(self._wanted)

    def configure(self, wanted: Mapping[str, str]) -> dict[str, str]:
        for name in _in_order(wanted):
            self._put(self._ask, name, wanted[name])
        self._wanted.update(wanted)
        has = self._settings(wanted)
        return {name: has[name] for name in wanted}

    def shoot(self, folder: Path, stem: str) -> tuple[Path, ...]:
        """Files of that name are replaced."""
        inside = self._captured()
        written = tuple(self._written(place, folder, stem) for place in inside)
        for place in inside:
            try:
                self._ask("delete", *place)
            except CameraError as error:  # the picture is safe
                log.warning("%s stays in %s: %s", place[1], self.name, error)
        return written

    def close(self) -> None:
        if self._session is not None:
            self._session.end()
            self._session = None

    def _captured(self) -> list[tuple[str, str]]:
        """Folder and name in the camera of one picture, then of its raw."""
        quality = self._read(NAMES["quality"])
        expected = 2 if any("+" in setting.value for setting in quality) else 1
        arguments = (self._talk.quiet_s, expected, self._talk.raw_s)
        try:
            files = self._ask("capture", *arguments)
        except Refused as error:
            if error.code != FULL:
                raise
            self.close()  # what fills it may be memory that a new session clears
            files = self._ask("capture", *arguments)
        raws = [(folder, name) for folder, name in files if _is_raw(name)]
        pictures = [(folder, name) for folder, name in files if not _is_raw(name)]
        if len(files) < expected:
            raise CameraError(
                f"{self.name} is set to {quality[0].value!r}, but only {files[0][1]} came within {self._talk.raw_s:g} "
                f"s. Use a faster card, give raw_s more time, or set one kind of file.",
                again=True,
            )
        if len(pictures) != 1 or len(raws) > 1:
            names = ", ".join(name for _, name in files)
            advice = "Switch continuous drive and bracketing off" if pictures else "Set its quality to JPEG or RAW+JPEG"
            raise CameraError(
                f"one release of {self.name} made {names}; one JPEG was expected, with its raw or without. {advice}."
            )
        return pictures + raws

    def _written(self, place: tuple[str, str], folder: Path, stem: str) -> Path:
        target = folder / (stem + PurePosixPath(place[1]).suffix.lower())
        with refused_by_system(target):
            part = new_part(target)
            try:
                self._ask("fetch", *place, str(part))
                if not part.stat().st_size:
                    raise CameraError(f"{self.name} sent {place[1]} without a byte. Take it again.", again=True)
                publish(target, part, target, overwrite=True)
            finally:
                part.unlink(missing_ok=True)
        return target

    def _settings(self, more: Mapping[str, str]) -> dict[str, str]:
        """Those of NAMES that the camera has, and more, each by the name by which it was asked for."""
        asked = {**NAMES, **{name: NAMES.get(name, (name,)) for name in more}}
        has = {setting.name: setting.value for setting in self._read({name for row in asked.values() for name in row})}
        return {word: has[name] for word, row in asked.items() for name in row if name in has}

    def _put(self, ask: Ask, name: str, value: str) -> None:
        names = NAMES.get(name, (name,))
        found = _records(ask("read", names))
        if not found:
            raise absent(self.name, name, ask("names"))
        match = found[0].matching(value)
        if match != found[0].value:
            ask("write", found[0].name, match)
            (kept,) = _records(ask("read", [found[0].name]))
            if kept.value != match:
                raise not_kept(kept, match)

    def _read(self, names: Collection[str]) -> list[Setting]:
        return _records(self._ask("read", sorted(names)))

    def _ask(self, operation: str, *arguments: Any) -> Any:
        lost: CameraError | None = None
        for attempt in range(1 + RESTARTS):
            if attempt:
                self._clock.sleep(PAUSE_S)
            try:
                return self._connected().ask(self._talk.deadline_s, operation, *arguments)
            except Lost as error:
                lost = error
                self._drop()
            except Refused as error:
                if error.again:
                    self.close()  # the next try is made in a new session
                if lost is None or not error.again:
                    raise
                lost = error
            except BaseException:  # an interrupt: the answer that is still to come would be taken for another's
                self._drop()
                raise
        assert lost is not None
        raise given_up(lost, RESTARTS) from lost

    def _connected(self) -> Session:
        """The session that there is, or a new one in which the camera has the settings that it was given."""
        if self._session is not None:
            return self._session
        session = Session()

        def ask(operation: str, *arguments: Any) -> Any:
            return session.ask(self._talk.deadline_s, operation, *arguments)

        try:
            model, port = choose(ask("cameras"), self._talk.port, self._model)
            ask("start", model, port)
            self._model, self.name = model, f"{model} at {port}"
            for name in _in_order(self._wanted):
                self._put(ask, name, self._wanted[name])
        except BaseException:
            session.kill()
            raise
        self._session = session
        return session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.kill()
            self._session = None


def choose(found: Sequence[Sequence[str]], port: str | None, model: str | None) -> tuple[str, str]:
    """Model and port of the one to take. A camera that comes back after it was lost may have another port."""
    if not found:
        raise Refused(ABSENT_CAMERA, "")
    fit = [row for row in found if port in (None, row[1]) and model in (None, row[0])]
    fit = fit or [row for row in found if row[0] == model]
    if len(fit) != 1:
        there = ", ".join(f"{row[0]} at {row[1]}" for row in found)
        place = model or (f"camera at {port}" if port else "camera")
        raise CameraError(f"one {place} was expected, and there is {there}. Name the port of the one to take.")
    return fit[0][0], fit[0][1]


def cameras() -> list[Plugged]:
    """Those on cables, each with what it answers; empty without any. Raises CameraError, MissingExtra."""
    session = Session()
    try:
        found = session.ask(TetheredSettings().deadline_s, "cameras")
    finally:
        session.kill()
    return [_answering(model, port) for model, port in found]


def _answering(model: str, port: str) -> Plugged:
    try:
        camera = TetheredCamera(TetheredSettings(port=port))
        try:
            return Plugged(model, port, camera.settings(), None)
        finally:
            camera.close()
    except CameraError as error:
        return Plugged(model, port, {}, str(error))


def _in_order(wanted: Collection[str]) -> list[str]:
    """The exposure mode comes first: it decides what else can be set."""
    return sorted(wanted, key=lambda name: word(name) != "mode")


def _is_raw(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in RAW_EXTENSIONS


def _records(rows: Sequence[Mapping[str, Any]]) -> list[Setting]:
    return [Setting(**{**row, "choices": tuple(row["choices"])}) for row in rows]
