"""A board with Grbl as it is set: how it is to be driven, and what in its own settings may spoil a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from anyzoom.capture.motor.messages import AXES, Meaning
from anyzoom.capture.rig import Ends

STATES = {
    "Hold": "is held. Release its hold button, or reset the board",
    "Door": "says that its safety door is open. Close it, or disconnect its input",
    "Check": "is in check mode, in which nothing moves. Send it $C, or reset it",
    "Sleep": "sleeps. Reset it",
    "Alarm": "is locked by an alarm. Home, or show where it stands",
}
UNKNOWN = Meaning("a number that Grbl 1.1 does not have", "Look it up in the notes of the board's firmware")


class GrblSettings(BaseModel):
    """How to drive a board; what the board itself is set to stays on the board."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    baud: int = Field(default=115200, gt=0)
    axis: Annotated[str, StringConstraints(pattern=f"^[{AXES}]$")] = "X"  # the one that turns the ring
    feed: float = Field(default=600.0, gt=0)  # units a minute; the board's own limit, $110 for X, may be lower
    boot_s: float = Field(default=2.5, gt=0)  # many boards start anew when their port is opened
    answer_s: float = Field(default=5.0, gt=0)  # the longest silence before the board counts as hung
    homing_s: float = Field(default=120.0, gt=0)  # the longest search for the switch; the board is silent meanwhile
    spare_s: float = Field(default=5.0, gt=0)  # that a move may take beyond its distance over its feed


def homes(board: Mapping[int, float]) -> bool:
    """Whether it has a switch to home to; board: its `$` settings."""
    return bool(int(board.get(22, 0)) & 1)  # grblHAL keeps more in its other bits


def board_warnings(board: Mapping[int, float], settings: GrblSettings, ends: Ends | None) -> tuple[str, ...]:
    """A sentence for each of its `$` settings that may spoil a run."""
    axis, said = AXES.index(settings.axis), []
    steps, most, travel = (board.get(first + axis, 0.0) for first in (100, 110, 130))
    if board.get(1, 255) != 255:
        said.append(f"$1={board[1]:g} lets go of the motor after each move: the ring may slip. Set $1=255.")
    if not homes(board):
        said.append("$22=0: nothing homes, so an operator must show the ends after each start of the board.")
    elif not board.get(20):
        said.append("$20=0: the board guards no limits of its own. Set $130 to the travel, then $20=1.")
    elif ends and max(map(abs, ends)) > travel:
        said.append(
            f"${130 + axis}={travel:g} is less than the ends, {ends.wide:g} and {ends.tele:g}. Set it to the travel."
        )
    if 0 < most < settings.feed:
        said.append(f"${110 + axis}={most:g} is slower than the feed of {settings.feed:g}, and wins.")
    if 0 < steps < 20:
        said.append(f"${100 + axis}={steps:g} makes steps of {1 / steps:.3g}, which is coarse for a ring.")
    return tuple(said)
