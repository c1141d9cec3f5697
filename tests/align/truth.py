"""The true maps of the simulated zoom runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anyzoom.geometry import FrameMap, Lens, Points, similarity


class TrueFrame(NamedTuple):
    path: Path
    map: FrameMap
    scale: float  # reference pixels per frame pixel on the axis
    checked: Points  # n xy of the frame
    reference: Points  # n xy, the same places in the reference


class TrueRun(NamedTuple):
    reference: Path
    frames: tuple[TrueFrame, ...]  # from the widest to the longest focal length, the reference aside


def true_run(folder: Path) -> TrueRun:
    told = json.loads((folder / "truth.json").read_text())
    *frames, last = told["frames"]

    def lens(frame: dict[str, Any]) -> Lens:
        x, y = frame["principal_point"]
        return Lens((x, y), float(frame["k1"]), told["norm_radius_px"])

    def true_frame(frame: dict[str, Any]) -> TrueFrame:
        back = np.linalg.inv(np.array(frame["H_frame_to_ref"]))
        a, b = back[0, 0], back[1, 0]
        matrix = similarity(float(np.hypot(a, b)), float(np.arctan2(b, a)), (float(back[0, 2]), float(back[1, 2])))
        points = np.array(frame["check_points"])
        return TrueFrame(
            folder / str(frame["file"]),
            FrameMap(reference=lens(last), frame=lens(frame), matrix=matrix),
            float(frame["magnification_to_reference"]),
            points[:, :2],
            points[:, 2:],
        )

    return TrueRun(folder / last["file"], tuple(map(true_frame, frames)))
