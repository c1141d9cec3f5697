"""Checking a dataset: every kind of damage is found and named, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anyzoom.errors import CannotRead
from anyzoom.grid import Size
from anyzoom.pairs.check import Report, check_dataset, same_field, write_checked
from anyzoom.pairs.manifest import MANIFEST, manifest_of, read_manifest, sha256_of, write_manifest

sides = st.integers(1, 4000)


def a_picture(path: Path, height: int, width: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng((height, width, seed)).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def coz(tmp_path: Path) -> Path:
    """Two scenes of three frames."""
    for scene in (1, 2):
        for height, width in ((40, 60), (20, 30), (13, 20)):
            a_picture(tmp_path / f"train_LR/{scene}/w{width}.png", height, width, scene)
    return tmp_path


def test_a_whole_dataset(coz: Path) -> None:
    told: list[tuple[int, int]] = []
    report = check_dataset(coz, advance=lambda done, total: told.append((done, total)))
    assert report.problems == report.left_out == ()
    assert (report.layout, report.split, len(report.scenes), len(report.frames)) == ("coz", "train", 2, 6)
    assert report.factors == [2, 2, 3, 3]
    assert report.bytes == sum(path.stat().st_size for path in coz.rglob("*.png"))
    assert told == [(done, 6) for done in range(1, 7)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def spoil(path: Path) -> None:
    """Only who decodes the pixels will see it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def deepen(path: Path) -> None:
    Image.fromarray(np.zeros((20, 30), np.uint16)).save(path)


def grow(path: Path) -> None:
    a_picture(path, 22, 30)


def copy(path: Path) -> None:
    path.write_bytes((path.parent.parent / "2/w30.png").read_bytes())


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut, "train_LR/1/w30.png: truncated PNG"),
        (spoil, "train_LR/1/w30.png: "),
        (deepen, "train_LR/1/w30.png has uint16 samples"),
        (grow, "train_LR/1/w30.png: 30x22, another aspect ratio than its HR of 60x40."),
        (copy, "train_LR/2/w30.png: the same file as"),
        (lambda path: path.write_text("no picture"), "train_LR/1/w30.png: "),
    ],
)
def test_damage_is_named(coz: Path, damage: Callable[[Path], None], expected: str) -> None:
    damage(coz / "train_LR/1/w30.png")
    (problem,) = check_dataset(coz).problems
    assert expected in problem


def test_scenes_may_share_their_hr(coz: Path) -> None:
    (coz / "train_LR/1/w60.png").write_bytes((coz / "train_LR/2/w60.png").read_bytes())
    assert check_dataset(coz).problems == ()


def test_several_are_all_named(coz: Path) -> None:
    cut(coz / "train_LR/1/w30.png")
    (coz / "train_LR/2/w20.png").write_text("no picture")
    grow(coz / "train_LR/2/w30.png")
    assert len(check_dataset(coz).problems) == 3


@pytest.mark.parametrize("damage", [cut, spoil, deepen, lambda path: path.write_text("no picture")])
def test_what_cannot_be_read_can_be_left_out(coz: Path, damage: Callable[[Path], None]) -> None:
    damage(coz / "train_LR/1/w30.png")
    report = check_dataset(coz, skip_unreadable=True)
    assert report.problems == ()
    assert len(report.left_out) == 1
    assert coz / "train_LR/1/w30.png" not in {frame.path for frame in report.frames}
    write_checked(report, coz)
    assert check_dataset(coz).problems == ()


def test_a_frame_larger_than_its_hr(coz: Path) -> None:
    """Less wide, but higher: only a manifest can claim that."""
    rows = manifest_of(check_dataset(coz).scenes, coz)
    a_picture(coz / "train_LR/1/w20.png", 41, 59)
    rows[0] = rows[0].model_copy(update={"height": 41, "width": 59, "sha256": sha256_of(coz / rows[0].file)})
    write_manifest(coz / MANIFEST, rows)
    (problem,) = check_dataset(coz).problems
    assert "w20.png: 59x41, larger than its HR of 60x40" in problem


def written(folder: Path) -> Report:
    report = check_dataset(folder)
    assert write_checked(report, folder) == len(report.frames)
    return report


def test_a_manifest_holds(coz: Path) -> None:
    first = written(coz)
    report = check_dataset(coz)
    assert report.layout == "anyzoom"
    assert report.problems == ()
    assert report.scenes == first.scenes
    a_picture(coz / "train_LR/1/w30.png", 20, 30, seed=9)
    (problem,) = check_dataset(coz).problems
    assert "train_LR/1/w30.png: its SHA-256 begins with" in problem
    assert check_dataset(coz, "coz").problems == (problem,)  # whoever lists the files
    (coz / "train_LR/1/w30.png").unlink()
    (problem,) = check_dataset(coz).problems
    assert "w30.png: no such file" in problem


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"height": 12}, "20x13, in the manifest 20x12."),
        ({"used_height": 14, "used_width": 21}, "20x13, and to be used at 21x14."),
        ({"used_height": 10, "used_width": 10}, "20x13, and to be used at 10x10, which has another aspect ratio."),
    ],
)
def test_a_manifest_that_claims_other_sizes(coz: Path, claim: dict[str, int], expected: str) -> None:
    rows = manifest_of(check_dataset(coz).scenes, coz)
    write_manifest(coz / MANIFEST, [rows[0].model_copy(update=claim), *rows[1:]])
    assert any(problem.endswith(expected) for problem in check_dataset(coz).problems)


def test_a_manifest_of_deep_pictures(coz: Path) -> None:
    rows = manifest_of(check_dataset(coz).scenes, coz)
    deepen(coz / rows[1].file)
    rows[1] = rows[1].model_copy(update={"sha256": sha256_of(coz / rows[1].file)})
    write_manifest(coz / MANIFEST, rows)
    (problem,) = check_dataset(coz).problems
    assert "w30.png: uint16 samples. Convert it to 8 bits per channel." in problem


def test_what_the_manifest_knows_is_kept(coz: Path) -> None:
    """Rows of another split, and what else a row says."""
    rows = manifest_of(check_dataset(coz).scenes, coz)
    others = [row.model_copy(update={"scene": "other", "split": "test"}) for row in rows[:3]]
    rows[0] = rows[0].model_copy(update={"source": "kept"})
    gone = rows[1].model_copy(update={"file": "train_LR/1/gone.png"})
    write_manifest(coz / MANIFEST, [*rows, *others, gone])
    write_checked(check_dataset(coz, "coz"), coz)
    assert read_manifest(coz / MANIFEST) == [*others, *rows]


def test_pairs_that_cannot_be_told_are_refused(tmp_path: Path) -> None:
    a_picture(tmp_path / "Train/HR2/1.png", 8, 8)
    a_picture(tmp_path / "Train/LR2/1.png", 5, 5)
    with pytest.raises(CannotRead, match=r"LR2/1.png is 5x5"):
        check_dataset(tmp_path)


def test_same_field_in_numbers() -> None:
    hr = Size(1000, 1500)
    assert same_field(Size(333, 500), hr)
    assert same_field(Size(334, 500), hr)
    assert not same_field(Size(335, 500), hr)
    assert not same_field(Size(332, 500), hr)
    assert same_field(hr, hr)


@given(st.integers(8, 4000), st.integers(8, 4000), st.fractions(1, 8))
def test_rounding_each_side_keeps_the_field(height: int, width: int, factor: Fraction) -> None:
    lr = Size(math.floor(height / factor + Fraction(1, 2)), math.floor(width / factor + Fraction(1, 2)))
    assert same_field(lr, Size(height, width))


@given(sides, sides, sides, sides)
def test_same_field_is_what_it_says(h: int, w: int, height: int, width: int) -> None:
    """One share of HR's sides lies within half a pixel of both of LR's."""
    low = max((h - 0.5) / height, (w - 0.5) / width)
    high = min((h + 0.5) / height, (w + 0.5) / width)
    if abs(low - high) > 1e-9:
        assert same_field(Size(h, w), Size(height, width)) == (low <= high)


def test_real_pairs(shared: Path) -> None:
    report = check_dataset(shared / "data/pairs/City100", "city100", "validation")
    assert report.problems == ()
    assert report.factors == pytest.approx([2.5] * 4 + [2.9] * 4, rel=1e-3)
