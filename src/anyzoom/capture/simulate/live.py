"""A camera that photographs what a simulated motor shows at that moment, and fails on demand.

Frames are those of `simulate_run`, one at a time; what is drawn for a shot depends on the seed and its number alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

from anyzoom.capture.camera.settings import NAMES, Setting, absent, word
from anyzoom.capture.camera.tethered import RESTARTS, TetheredSettings
from anyzoom.capture.camera.troubles import ABSENT_CAMERA, BUSY, FULL, Lost, Refused, given_up
from anyzoom.capture.rig import Clock, WallClock
from anyzoom.capture.simulate.camera import Fault, Pose, SimulatedCamera
from anyzoom.capture.simulate.run import FrameTruth, filling, mounted, posed, simulate_shot
from anyzoom.image.part import new_part, publish, refused_by_system

NAME = "the simulated camera"
SHUTTER_S = 0.5  # for one photograph
FAR = 4.0  # standard deviations of pointing that the picture still fills
SETTINGS = (
    Setting("iso", "100", "choice", ("100", "200", "400", "800")),
    Setting("shutterspeed", "1/125", "choice", ("1/30", "1/60", "1/125", "1/250")),
    Setting("f-number", "f/8", "choice", ("f/5.6", "f/8", "f/11")),
    Setting("whitebalance", "Daylight", "choice", ("Automatic", "Daylight", "Tungsten")),
    Setting("imagequality", "JPEG Fine", "choice", ("JPEG Fine",)),
)


class LiveFault(BaseModel):
    """What goes wrong at one call of `shoot`; as it stands, nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refuses: Literal["hang", "full", "busy", "disconnect"] | None = None  # and then there is no photograph
    truncated: bool = False  # the file ends in its middle
    picture: Fault = Fault()  # what the photograph shows

    @field_validator("picture")
    @classmethod
    def _of_the_picture(cls, picture: Fault) -> Fault:
        if picture.slip:
            raise ValueError("the belt slips at the motor, not at the camera")
        return picture


class LiveShot(NamedTuple):
    """What a file of the camera shows."""

    number: int  # of the call of `shoot`, from 0, also counting those that failed
    path: Path
    truth: FrameTruth


class LiveCamera:
    """Fulfils Camera. Positions of the ring are the lens's: 0 is the wide end, `lens.travel` the long one.

    Truths are told against one ideal photograph of the long end, `reference`: it lies as if no shot had pointed
    elsewhere or rolled, and it has gain 1 and offset 0. The map from one shot to another leads through it.
    """

    def __init__(
        self,
        picture: NDArray[np.uint8],
        ring: Callable[[], float],
        camera: SimulatedCamera | None = None,
        *,
        clock: Clock | None = None,
        scene_scale: float | None = None,
        faults: Mapping[int, LiveFault] | None = None,
        seed: int = 0,
    ) -> None:
        """scene_scale: pixels of the picture per pixel of the long end; otherwise it just fills the wide end."""
        self.name = NAME
        self.shots: list[LiveShot] = []
        self._picture, self._ring, self._camera = picture, ring, camera or SimulatedCamera()
        self._clock, self._faults, self._seed = clock or WallClock(), dict(faults or {}), seed
        self._mount = mounted(self._camera, np.random.default_rng((seed, 0)))
        self.reference = self._still(self._camera.lens.travel)
        self._per_px = scene_scale or filling(picture, self._widest(), self._camera.size)
        self._settings = {setting.name: setting for setting in SETTINGS}
        self._calls = 0

    def settings(self) -> dict[str, str]:
        return {word(name): setting.value for name, setting in self._settings.items()}

    def configure(self, wanted: Mapping[str, str]) -> dict[str, str]:
        kept = {}
        for name, value in wanted.items():
            names = NAMES.get(name, (name,))
            setting = next((self._settings[own] for own in names if own in self._settings), None)
            if setting is None:
                raise absent(self.name, name, self._settings)
            kept[name] = setting.matching(value)
            self._settings[setting.name] = dataclasses.replace(setting, value=kept[name])
        return kept

    def shoot(self, folder: Path, stem: str) -> tuple[Path, ...]:
        """Files of that name are replaced."""
        number, self._calls = self._calls, self._calls + 1
        fault = self._faults.get(number, LiveFault())
        self._refuse(fault)
        self._clock.sleep(SHUTTER_S)
        ring = self._ring()
        pose = posed(self._camera, self._mount, ring, ring, np.random.default_rng((self._seed, 3, number)))
        frame = simulate_shot(
            self._picture, self._per_px, self._camera, pose, self.reference, number, fault.picture, self._seed
        )
        path = folder / (stem + Path(frame.truth.file).suffix)
        with refused_by_system(path):
            part = new_part(path)
            try:
                part.write_bytes(frame.file[: len(frame.file) // 2] if fault.truncated else frame.file)
                publish(path, part, path, overwrite=True)
            finally:
                part.unlink(missing_ok=True)
        self.shots.append(LiveShot(number, path, frame.truth.model_copy(update={"file": path.name})))
        return (path,)

    def close(self) -> None:
        pass

    def _refuse(self, fault: LiveFault) -> None:
        if fault.refuses == "hang":
            deadline_s = TetheredSettings().deadline_s
            self._clock.sleep((1 + RESTARTS) * deadline_s)
            raise given_up(Lost(f"{self.name} gave no answer within {deadline_s:g} s"), RESTARTS)
        codes = {"full": FULL, "busy": BUSY, "disconnect": ABSENT_CAMERA}
        if fault.refuses is not None:
            raise Refused(codes[fault.refuses], "simulated")

    def _still(self, ring: float) -> Pose:
        still = self._camera.model_copy(update={"pointing_px": 0.0, "roll_deg": (0.0, 0.0)})
        return posed(still, self._mount, ring, ring, np.random.default_rng(0))

    def _widest(self) -> list[Pose]:
        """The wide end, looked at as far to every side as will happen."""
        pose, far = self._still(0.0), FAR * self._camera.pointing_px
        return [
            pose._replace(roll=math.radians(roll), pointing=(x, y))
            for roll in self._camera.roll_deg
            for x in (-far, far)
            for y in (-far, far)
        ]
