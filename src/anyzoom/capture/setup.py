"""`rig.toml`, what a rig is made of, and `rig.ends.json` beside it, where its lens ends.

The first is written by people, the second by `anyzoom capture ends`: positions count only together with the switch, or
the operator, that gave them their zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anyzoom.capture.camera import open_camera
from anyzoom.capture.check import Rules
from anyzoom.capture.motor import open_motor
from anyzoom.capture.plan import Pace
from anyzoom.capture.record import Alone, Operator, Rig
from anyzoom.capture.rig import Clock, Ends, Motor, WallClock
from anyzoom.errors import CannotRead
from anyzoom.image.part import new_part, publish, refused_by_system
from anyzoom.settings import read_settings


class MotorPart(BaseModel):
    """[motor]"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = "grbl"  # a row of MOTORS
    port: str  # such as /dev/ttyUSB0, or socket://192.168.1.5:23
    settings: dict[str, Any] = Field(default_factory=dict)  # of that kind, such as feed


class CameraPart(BaseModel):
    """[camera]"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = "gphoto2"  # a row of CAMERAS
    connection: dict[str, Any] = Field(default_factory=dict)  # of that kind, such as port or folder
    settings: dict[str, str] = Field(default_factory=dict)  # what the camera is set to, by value


class Setup(BaseModel):
    """The file `rig.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    motor: MotorPart
    camera: CameraPart = CameraPart()
    rules: Rules = Rules()
    pace: Pace = Pace()

    def open(self, ends: Ends | None, operator: Operator | None = None, clock: Clock | None = None) -> Rig:
        """The motor and the camera, ready. Raises MotorError, CameraError, MissingExtra."""
        clock = clock or WallClock()
        motor = self.open_motor(clock)
        try:
            motor.ends = ends
            camera = open_camera(self.camera.kind, self.camera.connection, clock)
        except BaseException:
            motor.close()
            raise
        return Rig(motor, camera, clock, self.camera.settings, operator or Alone())

    def open_motor(self, clock: Clock | None = None) -> Motor:
        """The motor alone. Raises MotorError, MissingExtra."""
        return open_motor(self.motor.port, self.motor.kind, self.motor.settings, clock)


def read_setup(path: Path) -> Setup:
    """Raises RecipeError, which names the key at fault."""
    return read_settings(path, Setup)


class EndsFile(BaseModel):
    """The file `rig.ends.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    motor: str  # whose positions they are
    wide: float
    tele: float


def ends_file(setup: Path) -> Path:
    return setup.with_suffix(".ends.json")


def read_ends(setup: Path) -> Ends | None:
    """What `write_ends` has left beside a rig.toml; None: nothing. Raises CannotRead for a damaged file."""
    path = ends_file(setup)
    if not path.is_file():
        return None
    try:
        found = EndsFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CannotRead(f"{path} does not tell where the lens ends. Show them again: anyzoom capture ends.") from error
    return Ends(found.wide, found.tele)


def write_ends(setup: Path, ends: Ends, motor: str) -> Path:
    """Remember them beside a rig.toml. Raises CannotWrite."""
    path = ends_file(setup)
    told = EndsFile(motor=motor, wide=ends.wide, tele=ends.tele)
    with refused_by_system(path):
        part = new_part(path)
        part.write_text(told.model_dump_json(indent=1) + "\n", "utf-8")
        publish(path, part, path, overwrite=True)
    return path
