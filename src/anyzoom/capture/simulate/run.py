"""Runs of a simulated zoom camera: photographs whose geometry and brightness are known exactly.

A frame's gain and offset act on coded values, frame = gain * ideal + offset: that is how registration describes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from anyzoom.capture.simulate.camera import Fault, Pose, SimulatedCamera, developed, encoded, falloff, gathered, middle
from anyzoom.capture.simulate.lens import Drive
from anyzoom.degrade.jpeg import to_bytes
from anyzoom.degrade.lens import Lens as Blur
from anyzoom.errors import CannotWrite, ScaleError, ShapeError
from anyzoom.geometry import FrameMap, Lens, Matrix, Points
from anyzoom.grid import Size
from anyzoom.image.part import refused_by_system

CHECKS = 5  # points along each axis of the reference's field that the truth lists
TRUTH, SCENE = "truth.json", "scene.json"
Box = tuple[float, float, float, float]  # x y w h


class FrameTruth(BaseModel):
    """How one frame came to be. Points are x y in pixels, pixel centres lie at integers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str
    nominal_focal_mm: int  # as in EXIF
    true_focal_mm: float
    motor: float  # where the motor was
    ring: float  # where the ring was
    magnification_to_reference: float  # on the axis: distortion changes it towards the borders
    rotation_deg: float  # against the scene
    principal_point: tuple[float, float]
    k1: float
    H_frame_to_ref: Matrix
    H_scene_to_frame: Matrix  # from the scene's picture to the undistorted frame
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    vignetting: float
    blur: dict[str, float | tuple[float, float]]
    noise: dict[str, float | int]
    fault: Fault
    moved_box: Box | None  # in the reference
    reference_corners_in_frame: tuple[tuple[float, float], ...]
    check_points: tuple[tuple[float, float, float, float], ...]  # frame x y, reference x y
    map: FrameMap


class RunTruth(BaseModel):
    """How a run came to be; `truth.json` beside its frames."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scene: str
    frame_size: tuple[int, int]  # width and height
    norm_radius_px: float
    reference: str  # the frame of the longest focal length that was asked for
    scene_scale: float  # pixels of the scene's picture per pixel of the long end
    seed: int
    backlash: float
    model: dict[str, str] = {
        "coordinates": "(x, y) in pixels, centre of the top-left pixel is (0, 0)",
        "distortion": "p_d = c + (p_u - c) * (1 + k1 * (|p_u - c| / norm_radius_px)^2), c = principal_point",
        "mapping": "undistort with the frame's c and k1; apply H_frame_to_ref; distort with the reference's",
        "map": "the same the other way, reference to frame",
        "photometry": "frame = gain * ideal + offset per channel on the sRGB-coded 0..255 scale; reference: 1 and 0",
    }
    camera: SimulatedCamera
    frames: tuple[FrameTruth, ...]


class SimulatedFrame(NamedTuple):
    """One photograph."""

    file: bytes  # JPEG or PNG, with the focal length in EXIF
    truth: FrameTruth

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """`h w 3`, decoded."""
        return np.asarray(Image.open(BytesIO(self.file)).convert("RGB"))


class SimulatedRun(NamedTuple):
    """All photographs of one scene."""

    frames: list[SimulatedFrame]
    truth: RunTruth


def simulate_run(
    picture: NDArray[np.uint8],
    camera: SimulatedCamera | None = None,
    frames: int = 12,
    *,
    motor: Sequence[float] | None = None,
    scene_scale: float | None = None,
    backlash: float = 0.0,
    faults: Mapping[int, Fault] | None = None,
    seed: int = 0,
    name: str = "scene",
) -> SimulatedRun:
    """Photograph a picture `H W 3`, sRGB-coded, at `frames` equal steps of the ring from wide to tele.

    motor: the motor's positions instead. scene_scale: pixels of the picture per pixel of the long end; otherwise the
    picture just fills the widest frame. Where a frame sees beyond the picture, it sees its mirror image. Equal
    arguments give equal bytes. Raises ShapeError for a picture that is no 8-bit RGB, ScaleError for fewer than one
    frame or a scene_scale that is not positive.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ShapeError(f"the scene is {picture.shape} {picture.dtype}; an 8-bit `H W 3` was expected.")
    camera, faults = camera or SimulatedCamera(), faults or {}
    positions = np.linspace(0, camera.lens.travel, frames).tolist() if motor is None else list(motor)
    if not positions or (scene_scale is not None and not scene_scale > 0):
        raise ScaleError("a run needs at least one frame, and a scene_scale above 0.")
    poses = _driven(camera, positions, backlash, faults, seed)
    per_px = scene_scale or filling(picture, poses, camera.size)
    reference = max(range(len(poses)), key=lambda i: (positions[i], i))
    taken = [
        simulate_shot(picture, per_px, camera, pose, poses[reference], i, faults.get(i, Fault()), seed)
        for i, pose in enumerate(poses)
    ]
    truth = RunTruth(
        scene=name,
        frame_size=(camera.size.width, camera.size.height),
        norm_radius_px=math.hypot(*camera.size) / 2,
        reference=taken[reference].truth.file,
        scene_scale=per_px,
        seed=seed,
        backlash=backlash,
        camera=camera,
        frames=tuple(frame.truth for frame in taken),
    )
    return SimulatedRun(taken, truth)


def write_run(folder: Path, run: SimulatedRun) -> None:
    """Write a run's frames, `scene.json` for registration and `truth.json` to judge it. Raises CannotWrite.

    The folder is new, or empty.
    """
    with refused_by_system(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CannotWrite(f"{folder} is not empty. Choose another folder.")
        for frame in run.frames:
            (folder / frame.truth.file).write_bytes(frame.file)
        rows = [{"file": t.file, "focal_mm": t.nominal_focal_mm, "ring": t.motor} for t in run.truth.frames]
        (folder / SCENE).write_text(json.dumps({"version": 1, "frames": rows}, indent=1) + "\n", "utf-8")
        (folder / TRUTH).write_text(run.truth.model_dump_json(indent=1) + "\n", "utf-8")


class Mount(NamedTuple):
    """How the lens sits before the sensor, drawn once."""

    axis: NDArray[np.float64]  # x y of the principal point at the wide end
    drift: NDArray[np.float64]  # how much farther it lies at the long end


def mounted(camera: SimulatedCamera, rng: np.random.Generator) -> Mount:
    axis = (np.array([camera.size.width, camera.size.height]) - 1) / 2 + rng.uniform(*camera.axis_px, 2)
    return Mount(axis, rng.uniform(*camera.drift_px, 2))


def posed(camera: SimulatedCamera, mount: Mount, motor: float, ring: float, rng: np.random.Generator) -> Pose:
    """How the camera looks at the scene once the motor and the ring stand there."""
    centre_x, centre_y = mount.axis + camera.lens.zoomed(ring) * mount.drift
    pointing_x, pointing_y = rng.normal(0, camera.pointing_px, 2)
    return Pose(
        motor=motor,
        ring=ring,
        ratio=camera.lens.tele_mm / (camera.lens.wide_mm * camera.lens.magnification(ring)),
        roll=math.radians(rng.uniform(*camera.roll_deg)),
        lens=Lens((float(centre_x), float(centre_y)), camera.lens.k1(ring), math.hypot(*camera.size) / 2),
        pointing=(float(pointing_x), float(pointing_y)),
    )


def _driven(
    camera: SimulatedCamera, positions: Sequence[float], backlash: float, faults: Mapping[int, Fault], seed: int
) -> list[Pose]:
    rng = np.random.default_rng((seed, 0))
    mount, drive = mounted(camera, rng), Drive(camera.lens.travel, backlash)
    poses = []
    for i, position in enumerate(positions):
        drive.slip(faults.get(i, Fault()).slip)
        poses.append(posed(camera, mount, position, drive.move(position), rng))
    return poses


def simulate_shot(
    picture: NDArray[np.uint8],
    per_px: float,
    camera: SimulatedCamera,
    pose: Pose,
    reference: Pose,
    number: int,
    fault: Fault,
    seed: int,
) -> SimulatedFrame:
    """Photograph number `number` of a picture; what is drawn for it depends on that and the seed alone.

    per_px: pixels of the picture per pixel of the long end. The truth is told against the reference.
    """
    seen, moved_box = _moved(
        picture, fault.moved, per_px, reference, camera.size, np.random.default_rng((seed, 2, number))
    )
    rng = np.random.default_rng((seed, 1, number))
    return _taken(seen, per_px, camera, pose, reference, number, fault, moved_box, rng)


def filling(picture: NDArray[np.uint8], poses: Sequence[Pose], size: Size) -> float:
    """The most picture pixels per pixel of the long end with which every frame sees nothing but the picture."""
    x, y = np.arange(-1, size.width + 1), np.arange(-1, size.height + 1)
    sides = [np.stack(np.broadcast_arrays(x, end), axis=-1) for end in y[[0, -1]]]
    sides += [np.stack(np.broadcast_arrays(end, y), axis=-1) for end in x[[0, -1]]]
    border = np.concatenate(sides).astype(np.float64)
    farthest = np.max([np.abs(pose.in_scene(border)).max(axis=0) for pose in poses], axis=0)
    return float(min(picture.shape[1] / 2 / farthest[0], picture.shape[0] / 2 / farthest[1]))


def _moved(
    picture: NDArray[np.uint8], share: float, per_px: float, reference: Pose, size: Size, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Box | None]:
    """The picture with something moved by a third of its width, in a box of that share of the reference's field."""
    if not share:
        return picture, None
    field = np.array([size.width, size.height])
    sides = field * math.sqrt(share)
    corner = rng.uniform(0.05, 0.95 - math.sqrt(share), 2) * field
    ends = reference.in_scene(np.stack((corner, corner + sides))) * per_px + middle(picture)
    (left, top), (right, bottom) = np.rint(ends).astype(int).clip(0).tolist()
    moved = picture.copy()
    moved[top:bottom, left:right] = np.roll(picture[top:bottom, left:right], (right - left) // 3, axis=1)
    box: Any = (*corner.tolist(), *sides.tolist())
    return moved, box


def _taken(
    picture: NDArray[np.uint8],
    per_px: float,
    camera: SimulatedCamera,
    pose: Pose,
    reference: Pose,
    number: int,
    fault: Fault,
    moved_box: Box | None,
    rng: np.random.Generator,
) -> SimulatedFrame:
    size = camera.size
    drawn = Blur(
        rng.uniform(*camera.blur_px),
        rng.uniform(*camera.corner),
        rng.uniform(*camera.smear_px),
        (rng.uniform(*camera.fringe_px), rng.uniform(*camera.fringe_px)),
    )
    vignetting = rng.uniform(*camera.vignetting)
    gain = rng.uniform(*camera.exposure) * rng.uniform(*camera.white_balance, 3)
    offset = rng.uniform(*camera.offset, 3)
    if pose is reference:
        gain, offset = np.ones(3), np.zeros(3)
    blur = drawn._replace(blur_px=math.hypot(drawn.blur_px, fault.defocus_px))
    light = gathered(picture, per_px, pose, blur, size)
    light *= falloff(size, vignetting) * np.float32(0 if fault.black else 2**fault.exposure_ev)
    code = developed(light, camera, rng)
    code = code * gain.astype(np.float32)[:, None, None] + (offset / 255).astype(np.float32)[:, None, None]

    focal_mm = camera.lens.tele_mm / pose.ratio
    nominal = round(focal_mm)
    to_reference = reference.matrix @ np.linalg.inv(pose.matrix)
    frame_map = FrameMap(reference=reference.lens, frame=pose.lens, matrix=_matrix(np.linalg.inv(to_reference)))
    extension = "png" if camera.jpeg_quality is None else "jpg"
    truth = FrameTruth(
        file=f"frame_{number:03d}_{nominal}mm.{extension}",
        nominal_focal_mm=nominal,
        true_focal_mm=focal_mm,
        motor=pose.motor,
        ring=pose.ring,
        magnification_to_reference=pose.ratio / reference.ratio,
        rotation_deg=math.degrees(pose.roll),
        principal_point=pose.lens.centre,
        k1=pose.lens.k1,
        H_frame_to_ref=_matrix(to_reference),
        H_scene_to_frame=_matrix(pose.matrix @ _from_picture(picture, per_px)),
        gain=tuple(gain.tolist()),
        offset=tuple(offset.tolist()),
        vignetting=vignetting,
        blur={**blur._asdict()},
        noise={"white_electrons": camera.white_electrons, "read_electrons": camera.read_electrons},
        fault=fault,
        moved_box=moved_box,
        reference_corners_in_frame=_rows(frame_map.to_frame(_lattice(size, 2))),
        check_points=_rows(np.hstack((frame_map.to_frame(_lattice(size, CHECKS)), _lattice(size, CHECKS)))),
        map=frame_map,
    )
    return SimulatedFrame(encoded(to_bytes(code.transpose(1, 2, 0)), camera, nominal), truth)


def _lattice(size: Size, count: int) -> Points:
    """`count * count xy` over the whole of a frame, its corner pixels included."""
    x, y = np.linspace(0, size.width - 1, count), np.linspace(0, size.height - 1, count)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _from_picture(picture: NDArray[np.uint8], per_px: float) -> NDArray[np.float64]:
    """From the picture's pixels to pixels of the long end, from the middle."""
    x, y = middle(picture) - 0.5
    return np.array([[1, 0, -x], [0, 1, -y], [0, 0, per_px]]) / per_px


def _matrix(matrix: NDArray[np.float64]) -> Matrix:
    rows: Any = tuple(tuple(row) for row in matrix.tolist())
    return rows  # type: ignore[no-any-return]


def _rows(values: NDArray[np.float64]) -> Any:
    return tuple(tuple(row) for row in values.tolist())
