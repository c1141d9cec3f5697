"""Motors that turn the zoom ring. `docs/motor.md` tells how to set one up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from anyzoom.capture.motor.arduino import ArduinoMotor, ArduinoSettings
from anyzoom.capture.motor.board import GrblSettings
from anyzoom.capture.motor.grbl import GrblMotor
from anyzoom.capture.motor.port import PortFound, ports
from anyzoom.capture.rig import Clock
from anyzoom.errors import MotorError
from anyzoom.settings import fault

__all__ = [
    "MOTORS",
    "ArduinoMotor",
    "ArduinoSettings",
    "GrblMotor",
    "GrblSettings",
    "PortFound",
    "open_motor",
    "ports",
]


class Kind(NamedTuple):
    """A kind of motor."""

    settings: type[BaseModel]
    build: Callable[[str, Any, Clock | None], GrblMotor | ArduinoMotor]


MOTORS: dict[str, Kind] = {
    "grbl": Kind(GrblSettings, GrblMotor),
    "arduino": Kind(ArduinoSettings, ArduinoMotor),
}


def open_motor(
    address: str, kind: str = "grbl", settings: Mapping[str, object] | None = None, clock: Clock | None = None
) -> GrblMotor | ArduinoMotor:
    """The motor at a serial port, such as /dev/ttyUSB0 or COM3, or at `socket://host:port`. Raises MotorError.

    settings: what differs from the defaults of `GrblSettings` or `ArduinoSettings`.
    """
    if kind not in MOTORS:
        raise MotorError(f"there is no motor of kind {kind!r}. Choose one of {', '.join(MOTORS)}.")
    record, build = MOTORS[kind]
    try:
        chosen = record.model_validate(settings or {})
    except ValidationError as error:
        raise MotorError(f"settings of the motor: {fault(error, record)}") from error
    return build(address, chosen, clock)
