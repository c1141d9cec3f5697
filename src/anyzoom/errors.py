"""Every mistake that a user can make, under one base class.

The command line prints an `AnyzoomError` as one line and exits with code 1; anything else is our own bug and
shows its traceback. A message says what was found, what was expected and what to do next.
"""


class AnyzoomError(Exception):
    """Base of all errors that a user can cause and mend."""


class CannotRead(AnyzoomError):
    """An input that is missing, damaged, hostile or of an unknown kind."""


class CannotWrite(AnyzoomError):
    """An output that exists already, has no room, or whose format cannot hold the picture."""


class ScaleError(AnyzoomError):
    """A scale or size that cannot be asked for."""


class ShapeError(AnyzoomError):
    """A picture, point set or window of a shape that a network cannot take."""


class CheckpointError(AnyzoomError):
    """Weights that are missing, damaged, foreign or unsafe."""


class DeviceError(AnyzoomError):
    """A device or precision that this machine does not have."""


class MemoryBudgetError(AnyzoomError):
    """A job that cannot be done within the memory it was given."""


class RecipeError(AnyzoomError):
    """A training recipe or data folder that cannot be used."""


class CalibrationError(AnyzoomError):
    """Photographs or a lens profile that cannot calibrate a lens."""


class CaptureError(AnyzoomError):
    """A motor, a camera or a plan with which a run cannot go on."""


class MotorError(CaptureError):
    """A motor that is not there, refuses, or does not do as it was told."""


class CameraError(CaptureError):
    """A camera that is not there, refuses, or gives no photograph.

    again: whether the same once more may help.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class Stopped(CaptureError):
    """Somebody has stopped the rig; where it stands is known."""


class MissingExtra(AnyzoomError):
    """An optional package is needed; the message names the command that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package. Install it with: pip install 'anyzoom[{extra}]'")
