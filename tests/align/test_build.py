"""Whole datasets: repeated, resumed, mended; and that the mistakes of one scene stay its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anyzoom.align.build import UNFINISHED, Outcome, align_scenes, collect
from anyzoom.align.scene import Settings
from anyzoom.errors import CannotRead, CannotWrite, RecipeError, ScaleError
from anyzoom.pairs import points_in_frame, read_scenes
from anyzoom.pairs.aligned import SCENES, read_aligned_scenes
from anyzoom.pairs.check import check_dataset
from anyzoom.pairs.manifest import MANIFEST, read_manifest

MakeRun = Callable[..., Path]
LAST = 3  # the reference


@pytest.fixture(scope="session")
def runs(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two scenes."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / "b", seed=1), make_run(folder / "a-1", seed=2)]


@pytest.fixture(scope="session")
def made(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COZ's tree of both, a_1 for testing."""
    out = tmp_path_factory.mktemp("made") / "coz"
    outcomes = list(align_scenes(runs, out, Settings(), test=["a-1"]))
    assert [(one.scene.scene, one.status) for one in outcomes] == [("b", "aligned"), ("a_1", "aligned")]
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def aligned(*arguments: object, **fields: object) -> list[Outcome]:
    return list(align_scenes(*arguments, **fields))  # type: ignore[arg-type]


def test_what_lies_where(made: Path) -> None:
    files = sorted(contents(made))
    assert [file for file in files if "train_LR/b/x1.0000" in file or "test" in file] == [
        "test_HR/a_1.png",
        "test_LR/a_1/x2.00.png",
        "train_LR/b/x1.0000.png",
    ]
    assert len([file for file in files if file.startswith("train_LR/b/")]) == 4
    assert {file for file in files if "/" not in file} == {MANIFEST, SCENES}


def test_the_dataset_is_whole(made: Path) -> None:
    for split, frames in (("train", 4), ("test", 2)):
        report = check_dataset(made, split=split)
        assert report.problems == ()
        assert [len(scene.frames) for scene in report.scenes] == [frames]
        plain = read_scenes(made, "coz", split)
        assert plain.scenes == report.scenes
        assert plain.left_out == ()


def test_rows_tell_where_points_lie(made: Path) -> None:
    """The drawn lens is known: frames are shrunk views of one picture."""
    for row in read_manifest(made / MANIFEST):
        if row.aligned is None:
            assert row.role == "hr"
            assert row.source == f"{'b' if row.split == 'train' else 'a-1'}/{LAST}.png"
            continue
        number = int(Path(row.source or "").stem)
        factor = (2.02, 1.6, 1.25)[number]
        sides = np.array([round(factor * 480), round(factor * 320)])
        room = np.array([round(2.02 * 480) + 40, round(2.02 * 320) + 40])
        corner = (room - sides) // 2 + np.array([-3 * (number % 3), 3 * (number % 2)])
        tele = (room - (480, 320)) // 2 + np.array([0, 3])
        points = np.array([[0, 0], [479, 0], [479, 319], [200, 100]])
        wanted = (points + 0.5 + tele - corner) / (sides / (480, 320)) - 0.5
        assert np.abs(points_in_frame(row, points.astype(float)) - wanted).max() < 0.15
        assert np.allclose(row.aligned.scale, factor, rtol=2e-3)
        x, y, width, height = row.aligned.lr_box
        assert (width, height) == pytest.approx(np.array(row.aligned.hr_box[2:]) / factor, abs=0.3)
        assert min(x, y) >= -0.5
        assert row.aligned.exposure.focal_mm == pytest.approx(100 / factor)
        assert row.aligned.gain == pytest.approx([0.9 if number == 0 else 1] * 3, rel=0.02)
        assert row.aligned.quality.shift_median_px < 0.2


def test_repeated_it_is_equal_to_the_byte(made: Path, runs: list[Path], tmp_path: Path) -> None:
    """In other processes, in another order, in another place."""
    again = tmp_path / "again"
    assert {one.status for one in aligned(runs[::-1], again, Settings(), test=["a-1"], jobs=2)} == {"aligned"}
    assert contents(again) == contents(made)
    assert [one.status for one in aligned(runs, again, Settings(), test=["a-1"])] == ["unchanged", "unchanged"]
    assert contents(again) == contents(made)


def test_what_is_missing_or_changed_is_made_again(made: Path, runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(made, out)
    (out / "train_LR/b/x1.0000.png").unlink()
    assert [one.status for one in aligned(runs, out, Settings(), test=["a-1"])] == ["aligned", "unchanged"]
    assert contents(out) == contents(made)

    fewer = tmp_path / "b"
    shutil.copytree(runs[0], fewer)
    (fewer / "1.png").unlink()
    (outcome,) = aligned([fewer], out, Settings())
    assert (outcome.status, outcome.scene.pairs) == ("aligned", 2)
    assert len(list((out / "train_LR/b").iterdir())) == 3  # what the earlier run had made is gone
    assert len(read_manifest(out / MANIFEST)) == 5
    assert check_dataset(out).problems == ()


def test_a_run_that_was_killed_between_is_finished_by_the_next(made: Path, runs: list[Path], tmp_path: Path) -> None:
    """A scene that waits, half of it moved already; and one whose work had only begun."""
    out = tmp_path / "out"
    ready = out / UNFINISHED / "ready" / "b"
    (ready / "files").mkdir(parents=True)
    (out / UNFINISHED / "work" / "a_1" / "files").mkdir(parents=True)
    rows = [line for line in (made / MANIFEST).read_text().splitlines(keepends=True) if '"scene":"b"' in line]
    scene = next(line for line in (made / SCENES).read_text().splitlines(keepends=True) if '"scene":"b"' in line)
    (ready / "scene.json").write_text(scene)
    (ready / MANIFEST).write_text("".join(rows))
    shutil.copytree(made / "train_LR", ready / "files" / "train_LR")
    first = sorted((ready / "files/train_LR/b").iterdir())[0]
    (out / "train_LR/b").mkdir(parents=True)
    first.replace(out / "train_LR/b" / first.name)
    assert [one.status for one in aligned(runs, out, Settings(), test=["a-1"])] == ["unchanged", "aligned"]
    assert contents(out) == contents(made)
    assert not (out / UNFINISHED).exists()


def test_a_frame_of_something_else_is_rejected_and_the_others_go_on(make_run: MakeRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (outcome,) = aligned([make_run(tmp_path / "mixed", moved=1)], out, Settings())
    assert (outcome.status, outcome.scene.pairs) == ("aligned", 2)
    assert {one.frame for one in outcome.scene.rejected} == {"1.png"}
    assert {one.scene for one in outcome.scene.rejected} == {"mixed"}
    assert not any(row.source == "mixed/1.png" for row in read_manifest(out / MANIFEST))
    assert read_aligned_scenes(out) == [outcome.scene]


def test_lost_scenes_are_told_and_leave_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    """One frame only, nothing at all, a truncated file; the scene between them is made."""
    single, missing, broken = tmp_path / "single", tmp_path / "missing", tmp_path / "broken"
    single.mkdir()
    Image.new("RGB", (64, 48)).save(single / "1.png")
    good = make_run(tmp_path / "good", seed=4, factors=(1.6, 1.0))
    shutil.copytree(good, broken)
    (broken / "0.png").write_bytes((good / "0.png").read_bytes()[:9000])
    out = tmp_path / "out"
    outcomes = aligned([single, missing, good, broken], out, Settings())
    assert [one.status for one in outcomes] == ["lost", "lost", "aligned", "lost"]
    errors = [one.scene.error or "" for one in outcomes]
    assert "holds only 1.png" in errors[0]
    assert "no such folder" in errors[1]
    assert errors[2] == ""
    assert str(broken / "0.png") in errors[3]
    assert [path.name for path in (out / "train_LR").iterdir()] == ["good"]
    assert [scene.scene for scene in read_aligned_scenes(out)] == ["broken", "good", "missing", "single"]
    assert not (out / UNFINISHED).exists()


def test_a_full_disk_loses_the_scene_and_leaves_no_half(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(_photo: object, path: Path) -> None:
        if len(written) == 2:
            raise CannotWrite(f"{path}: no space left on the disk. Free some, or write elsewhere. Nothing was written.")
        written.append(path)
        path.write_bytes(b"half a scene")

    monkeypatch.setattr("anyzoom.align.scene.write_image", full)
    out = tmp_path / "out"
    (outcome,) = aligned(runs[:1], out, Settings())
    assert outcome.status == "lost"
    assert "no space left on the disk" in (outcome.scene.error or "")
    assert set(contents(out)) == {MANIFEST, SCENES}
    assert read_manifest(out / MANIFEST) == []
    monkeypatch.undo()
    assert [one.status for one in aligned(runs[:1], out, Settings())] == ["aligned"]


def test_settings_and_places_that_cannot_be(made: Path, runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=r"holds scenes aligned with other settings or another anyzoom \(a_1\)"):
        aligned(runs, made, Settings(luminance="none"))
    with pytest.raises(RecipeError, match=r"unknown layout 'div2k'. Known: coz, realarbisr, realsr."):
        aligned(runs, tmp_path / "x", Settings(layout="div2k"))
    with pytest.raises(RecipeError, match=r"the test scene 'c' is none of those given: b, a_1."):
        aligned(runs, tmp_path / "x", Settings(), test=["c"])
    with pytest.raises(RecipeError, match="exact scales, which --crop-only cannot cut"):
        aligned(runs, tmp_path / "x", Settings(layout="realsr", crop_only=True))
    with pytest.raises(ScaleError, match="no place for x9"):
        aligned(runs, tmp_path / "x", Settings(scales=(9.0,)))
    with pytest.raises(CannotRead, match=r"would both become scene b. Rename one"):
        aligned([runs[0], tmp_path / "else" / "b"], tmp_path / "x", Settings())
    with pytest.raises(CannotWrite, match=r"holds 0.png, but no scenes.jsonl of earlier scenes. Choose another"):
        aligned(runs, runs[0], Settings())
    assert not (tmp_path / "x").exists()


def test_nothing_waits_in_a_new_folder(tmp_path: Path) -> None:
    assert collect(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
