"""A camera that no cable drives: an operator shoots by hand, and the picture appears in a folder.

It may get there by the maker's own program, a card that is copied, or a phone that synchronises. The picture is
copied, never moved. What lay in the folder before a shot was asked for is never taken, neither is what comes late of
a picture that was: a raw by the name of an earlier picture.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, PositiveFloat

from anyzoom.capture.rig import Clock, WallClock
from anyzoom.errors import CameraError, CannotRead
from anyzoom.image import read_image, same_file
from anyzoom.image.formats import RAW_EXTENSIONS
from anyzoom.image.part import new_part, publish, refused_by_system

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
log = logging.getLogger(__name__)


class FolderSettings(BaseModel):
    """Where pictures appear, and how long to wait for them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    folder: Path
    raw: bool = False  # wait for a raw of the same name too; without it one is taken when it comes with the picture
    deadline_s: PositiveFloat = 600.0  # for the operator
    settled_s: PositiveFloat = 2.0  # how long a file must not have grown to count as complete
    poll_s: PositiveFloat = 0.5


class FolderCamera:
    """Fulfils Camera, but for settings: those are the operator's."""

    def __init__(self, settings: FolderSettings, clock: Clock | None = None) -> None:
        self._watch, self._clock = settings, clock or WallClock()
        self.name = f"the camera that fills {settings.folder}"
        self._sizes()

    def settings(self) -> dict[str, str]:
        return {}

    def configure(self, wanted: Mapping[str, str]) -> dict[str, str]:
        if wanted:
            raise CameraError(
                f"{self.name} cannot be set from here. Leave {', '.join(wanted)} out, and set them on the camera."
            )
        return {}

    def shoot(self, folder: Path, stem: str) -> tuple[Path, ...]:
        """Wait until somebody has taken one. Files of that name are replaced."""
        if same_file(folder, self._watch.folder):
            raise CameraError(f"{folder} is both the run's and the one to watch. Let the camera fill another folder.")
        before = {path.stem for path in self._sizes()}
        log.info("take one photograph now: waiting for it in %s", self._watch.folder)
        start = settled = self._clock.now()
        sizes: dict[Path, int] = {}
        damage: CannotRead | None = None
        while self._clock.now() - start <= self._watch.deadline_s:
            found = {path: size for path, size in self._sizes().items() if path.stem not in before}
            if found != sizes:
                sizes, settled = found, self._clock.now()
            shot = _shot(self._watch.folder, sizes)
            complete = shot.picture and (shot.raw or not self._watch.raw) and all(sizes.values())
            if complete and self._clock.now() - settled >= self._watch.settled_s:
                try:
                    return self._copied(shot, folder, stem)
                except CannotRead as error:
                    damage = error  # it may have paused while it was copied; it changes, or the deadline comes
                    settled = self._clock.now()
            self._clock.sleep(self._watch.poll_s)
        raise CameraError(self._missing(sizes, damage), again=True)

    def close(self) -> None:
        pass

    def _sizes(self) -> dict[Path, int]:
        """The visible files of the folder."""
        sizes = {}
        try:
            with os.scandir(self._watch.folder) as entries:
                for entry in entries:
                    if entry.is_file() and not entry.name.startswith("."):
                        sizes[Path(entry.path)] = entry.stat().st_size
        except FileNotFoundError as error:
            if self._watch.folder.is_dir():
                return self._sizes()  # a file was renamed under our eyes
            raise CameraError(f"{self._watch.folder}: no such folder. Create it, or plug its disk in.") from error
        except OSError as error:
            raise CameraError(f"{self._watch.folder}: cannot be watched ({error.strerror}).") from error
        return sizes

    def _copied(self, shot: Shot, folder: Path, stem: str) -> tuple[Path, ...]:
        written = []
        for source in filter(None, (shot.picture, shot.raw)):
            target = folder / (stem + source.suffix.lower())
            with refused_by_system(target):
                part = new_part(target)
                try:
                    shutil.copyfile(source, part)
                    if source is shot.picture:
                        read_image(part)
                    publish(target, part, target, overwrite=True)
                finally:
                    part.unlink(missing_ok=True)
            written.append(target)
        return tuple(written)

    def _missing(self, sizes: Mapping[Path, int], damage: CannotRead | None) -> str:
        limit = f"within {self._watch.deadline_s:g} s"
        if damage is not None:
            return f"the picture that came cannot be read {limit}: {damage} Take it again."
        if not sizes:
            return f"no photograph appeared in {self._watch.folder} {limit}. Look where the camera's pictures go."
        names = ", ".join(sorted(path.name for path in sizes))
        if not all(sizes.values()):
            return f"{names} came {limit} with a file without a byte. Free space where they are copied; take it again."
        wanted = "a JPEG and its raw" if self._watch.raw else "a JPEG, PNG or TIFF"
        return f"{names} came {limit}; {wanted} of one name was expected. Set the camera to it and take it again."


class Shot(NamedTuple):
    """The files of one photograph, as far as they have come."""

    picture: Path | None
    raw: Path | None


def _shot(watched: Path, sizes: Mapping[Path, int]) -> Shot:
    """Raises CameraError when they are those of two photographs."""
    pictures = sorted(path for path in sizes if path.suffix.lower() in PICTURES)
    raws = sorted(path for path in sizes if path.suffix.lower() in RAW_EXTENSIONS)
    if len(pictures) > 1 or len(raws) > 1 or len({path.stem for path in pictures + raws}) > 1:
        names = ", ".join(path.name for path in pictures + raws)
        raise CameraError(
            f"{names} appeared in {watched} at once; one photograph was expected. Neither is taken: take one more.",
            again=True,
        )
    return Shot(next(iter(pictures), None), next(iter(raws), None))
