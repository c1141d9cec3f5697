"""Which photographs there are, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.calibrate.conftest import LENS, SIZE, px_per_mm, taken

from anyzoom.calibrate.shots import Listed, common_size, listed_shots, measured
from anyzoom.calibrate.target import Target
from anyzoom.errors import CalibrationError, CannotRead
from anyzoom.grid import Size


@pytest.mark.parametrize(
    ("name", "ring", "role"),
    [
        ("IMG_0012_ring12.5.jpg", 12.5, "curve"),
        ("ring_3.jpg", 3, "curve"),
        ("a_ring40_return.jpg", 40, "return"),
        ("a_Ring40-reverse_2.png", 40, "reverse"),
        ("ring+007.250.tif", 7.25, "curve"),
    ],
)
def test_positions_in_names(name: str, ring: float, role: str) -> None:
    assert listed_shots([Path("x") / name]) == [Listed(Path("x") / name, ring, role)]  # type: ignore[arg-type]


def test_a_name_without_a_position() -> None:
    with pytest.raises(
        CalibrationError, match=r"IMG_0012\.jpg: its name tells no ring position\. Name photographs like"
    ):
        listed_shots([Path("ring1.jpg"), Path("IMG_0012.jpg")])


def test_lists(tmp_path: Path) -> None:
    expected = [Listed(tmp_path / "a.jpg", 1.5), Listed(tmp_path / "b.jpg", 2.0, "return")]
    table = tmp_path / "shots.csv"
    table.write_text("\ufefffile, ring, role\na.jpg, 1.5,\nb.jpg, 2, return\n", "utf-8")
    assert listed_shots([table]) == expected
    run = tmp_path / "scene.json"
    frames = [{"file": "a.jpg", "ring": 1.5, "step": 0}, {"file": "b.jpg", "ring": 2, "role": "return"}]
    run.write_text(json.dumps({"version": 1, "frames": frames}))
    assert listed_shots([run]) == expected
    assert listed_shots([run, Path("ring3.jpg")]) == [*expected, Listed(Path("ring3.jpg"), 3.0)]


@pytest.mark.parametrize(
    ("name", "text", "kind", "expected"),
    [
        ("a.csv", "file,ring\na.jpg,\n", CalibrationError, "a.csv, shot 1: a.jpg has no ring position, but ''"),
        (
            "a.csv",
            "file,ring\na.jpg,1\nb.jpg,wide\n",
            CalibrationError,
            "shot 2: b.jpg has no ring position, but 'wide'",
        ),
        ("a.csv", "file,ring\na.jpg,nan\n", CalibrationError, "no ring position, but 'nan'"),
        ("a.csv", "file,position\na.jpg,1\n", CalibrationError, "a.jpg has no ring position, but None"),
        ("a.csv", "name,ring\na.jpg,1\n", CannotRead, "shot 1: no `file` is named"),
        (
            "a.csv",
            "file,ring,role\na.jpg,1,up\n",
            CalibrationError,
            "the role 'up' is unknown. Use one of curve, return",
        ),
        ("a.json", '{"version": 1, "frames": [{"file": "a.jpg"}]}', CalibrationError, "a.jpg has no ring position"),
        ("a.json", '{"version": 1}', CannotRead, "is no list of shots \\(KeyError"),
        ("a.json", "[1]", CannotRead, "is no list of shots"),
        ("a.json", "{", CannotRead, "is no list of shots"),
    ],
)
def test_bad_lists(tmp_path: Path, name: str, text: str, kind: type[Exception], expected: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(kind, match=expected):
        listed_shots([tmp_path / name])


def test_a_missing_list(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"cannot read the list .*a\.csv: No such file"):
        listed_shots([tmp_path / "a.csv"])


def test_what_a_photograph_tells(tmp_path: Path, target: Target) -> None:
    path = taken(tmp_path / "a.jpg", 70)
    found = measured(Listed(path, 70, "return"), target)
    assert (found.shot.file, found.shot.ring, found.shot.role) == ("a.jpg", 70, "return")
    assert found.shot.focal_mm == pytest.approx(35 * LENS.magnification(70), rel=1e-3)
    assert found.shot.px_per_mm == pytest.approx(px_per_mm(70), rel=3e-4)
    assert found.shot.k1 == pytest.approx(LENS.k1(70), abs=5e-4)
    assert found.size == SIZE
    assert found.thumbnail[:2] == b"\xff\xd8"
    deep = tmp_path / "deep.tif"
    grey = np.asarray(Image.open(path).convert("RGB"))[..., 0].astype(np.uint16) * 257
    Image.fromarray(grey).save(deep)
    again = measured(Listed(deep, 70), target)
    assert again.shot.px_per_mm == pytest.approx(found.shot.px_per_mm, rel=1e-6)
    assert again.shot.focal_mm is None


def test_photographs_without_the_board_are_named(tmp_path: Path, target: Target) -> None:
    path = tmp_path / "ring3.png"
    Image.new("RGB", (300, 200), (90, 90, 90)).save(path)
    with pytest.raises(CalibrationError, match=r"ring3\.png: 0 corners of the board found, 12 are needed"):
        measured(Listed(path, 3), target)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CannotRead, match=r"ring3\.png"):
        measured(Listed(path, 3), target)


def test_all_have_one_size(tmp_path: Path, target: Target) -> None:
    one = measured(Listed(taken(tmp_path / "a.jpg", 80), 80), target)
    assert common_size([one, one]) == SIZE
    with pytest.raises(CalibrationError, match=r"a\.jpg is 960x640, but 30x20 was expected"):
        common_size([one], Size(20, 30))
