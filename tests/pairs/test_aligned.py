"""What a manifest says of an aligned frame, held against a truth from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyzoom.errors import CannotRead, RecipeError
from anyzoom.geometry import FrameMap, Lens
from anyzoom.pairs import points_in_frame
from anyzoom.pairs.aligned import SCENES, Aligned, AlignedScene, Exposure, Quality, Rejection, read_aligned_scenes
from anyzoom.pairs.manifest import FrameRow, read_manifest, write_manifest

ZEROS = "0" * 64
QUALITY = Quality(
    correlation=0.995,
    bad_blocks=0,
    sharpness=1,
    psnr_db=36,
    clipped=0,
    black=0,
    newly_clipped=0,
    shift_median_px=0.04,
    shift_worst_px=0.2,
    shifts=((0.25, 0.5, 0.04, 0), (0.75, 0.5, 0, -0.2)),
    ceiling_db=44,
)


def a_map(**fields: Any) -> FrameMap:
    whole: dict[str, Any] = {
        "reference": Lens((450, 300), 0.003, 540),
        "frame": Lens((446, 299), -0.029, 540),
        "matrix": ((0.25, 0, 334.5), (0, 0.25, 226.7), (0, 0, 1)),
    }
    return FrameMap(**whole | fields)


def aligned(**fields: Any) -> Aligned:
    whole: dict[str, Any] = {
        "reference": "a/tele.jpg",
        "reference_sha256": ZEROS,
        "scale": (4.01, 4.01),
        "hr_box": (3.5, 3.5, 888, 592),
        "lr_box": (334, 227, 222, 148),
        "transform": a_map(),
        "kernel": "lanczos4",
        "residual_px": 0,
        "luminance": "gain",
        "gain": (1.01, 1, 0.99),
        "offset": (-1, 0, 1),
        "method": "sift",
        "found": 140,
        "matches": 133,
        "cells": 14,
        "rmse_px": 0.3,
        "quality": QUALITY,
        "exposure": Exposure(focal_mm=35),
        "verdict": "accepted",
        "tool": "0.1.0",
        "parameters": ZEROS,
    }
    return Aligned(**whole | fields)


def row(**fields: Any) -> FrameRow:
    whole: dict[str, Any] = {"scene": "a", "file": "a/x4.png", "sha256": ZEROS, "height": 148, "width": 222}
    return FrameRow(**whole | {"role": "lr", "aligned": aligned()} | fields)


def test_a_row_comes_back(tmp_path: Path) -> None:
    rows = [row(), row(file="a/x1.png", role="hr", aligned=None)]
    write_manifest(tmp_path / "manifest.jsonl", rows)
    assert read_manifest(tmp_path / "manifest.jsonl") == rows


def test_points_of_a_row_are_those_of_the_truth(shared: Path) -> None:
    """Frame pixel and matching reference pixel are listed there, by whoever made the pictures."""
    truth = json.loads((shared / "data" / "zoom" / "spices" / "truth.json").read_text())
    reference = truth["frames"][-1]
    for frame in truth["frames"][:-1]:
        back = np.linalg.inv(np.array(frame["H_frame_to_ref"]))
        lenses = [Lens(tuple(one["principal_point"]), one["k1"], truth["norm_radius_px"]) for one in (reference, frame)]
        told = row(aligned=aligned(transform=a_map(reference=lenses[0], frame=lenses[1], matrix=back.tolist())))
        read = FrameRow.model_validate_json(told.model_dump_json())
        checks = np.array(frame["check_points"])
        assert np.abs(points_in_frame(read, checks[:, 2:]) - checks[:, :2]).max() < 1e-3
        assert points_in_frame(read, np.empty((0, 2))).shape == (0, 2)


def test_a_frame_that_was_not_aligned_has_no_points() -> None:
    with pytest.raises(RecipeError, match=r"a/x4.png was not aligned"):
        points_in_frame(row(aligned=None), np.zeros((1, 2)))


def test_scenes_come_back(tmp_path: Path) -> None:
    assert read_aligned_scenes(tmp_path) == []
    rejection = Rejection(scene="a", frame="1.jpg", gate="rmse", measured=2, limit=0.5, cause="moved", remedy="again")
    scene = AlignedScene(
        scene="a", folder="A", split="train", frames=3, pairs=1, rejected=(rejection,), notes=("x",), parameters=ZEROS
    )
    (tmp_path / SCENES).write_text(scene.model_dump_json(exclude_none=True) + "\n")
    assert read_aligned_scenes(tmp_path) == [scene]
    (tmp_path / SCENES).write_text("{")
    with pytest.raises(CannotRead, match=r"scenes.jsonl: .*Remove it, and align again.$"):
        read_aligned_scenes(tmp_path)
