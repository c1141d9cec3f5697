"""Cameras: on a cable, or anything whose pictures appear in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from anyzoom.capture.camera.folder import FolderCamera, FolderSettings
from anyzoom.capture.camera.tethered import Plugged, TetheredCamera, TetheredSettings, cameras
from anyzoom.capture.rig import Camera, Clock
from anyzoom.errors import CameraError
from anyzoom.settings import fault


class Kind(NamedTuple):
    """A way to get photographs."""

    open: Callable[[Any, Clock | None], Camera]
    settings: type[BaseModel]  # what `open` takes


CAMERAS: dict[str, Kind] = {
    "gphoto2": Kind(TetheredCamera, TetheredSettings),
    "folder": Kind(FolderCamera, FolderSettings),
}


def open_camera(name: str, settings: Mapping[str, object] | None = None, clock: Clock | None = None) -> Camera:
    """The camera of a kind in CAMERAS, ready to shoot. Raises CameraError, MissingExtra."""
    kind = CAMERAS.get(name)
    if kind is None:
        raise CameraError(f"there is no kind of camera {name!r}. Choose one of {', '.join(CAMERAS)}.")
    try:
        record = kind.settings.model_validate(settings or {})
    except ValidationError as error:
        raise CameraError(f"camera {name}: {fault(error, kind.settings)}") from error
    return kind.open(record, clock)


__all__ = [
    "CAMERAS",
    "FolderCamera",
    "FolderSettings",
    "Kind",
    "Plugged",
    "TetheredCamera",
    "TetheredSettings",
    "cameras",
    "open_camera",
]
