"""`anyzoom calibrate`: from a printed target to verified positions, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.calibrate.conftest import LENS, TARGET, TELE_MM, taken

from anyzoom.calibrate import read_lens
from anyzoom.calibrate.target import design, write_target

Command = Callable[..., Any]  # gives a Done of tests/conftest.py


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_target_is_written(anyzoom: Command) -> None:
    done = anyzoom("calibrate", "target", "-o", "board.pdf", "--sheet", "a2", "--scales", "2,4", "--paper", "a4")
    assert done.code == 0, done
    assert done.out.splitlines() == [
        "board.pdf: 594 x 420 mm, 9 pages",
        "board.json: 32 x 21 squares of 17.34 mm",
    ]
    assert Path("board.pdf").read_bytes().startswith(b"%PDF")
    assert json.loads(Path("board.json").read_text())["columns"] == 32
    assert "board.pdf exists" in anyzoom("calibrate", "target", "-o", "board.pdf", "--sheet", "a2").refusal
    done = anyzoom("calibrate", "target", "-o", "wall.svg", "--distance", 3, "--focal", 105, "--sheet", "3000x2000")
    assert done.out.startswith("wall.svg: 3000 x 2000 mm, 1 page\n")
    assert done.err == "anyzoom: no room for the rectangles of x3, x3.5, x4; the board serves all scales\n"


def test_from_photographs_to_verified_positions(anyzoom: Command) -> None:
    """Shots with positions in a list; wanted scales; then photographs at what was solved, and at the long end."""
    write_target(TARGET, Path("board.json"))
    rings = np.linspace(40, 80, 5)
    lines = [f"{taken(Path(f'{ring:.3f}.jpg'), ring)},{ring}" for ring in rings]
    Path("shots.csv").write_text("\n".join(["file,ring", *lines]))
    words = ("--target", "board.json", "--report", "lens.html", "--overwrite")
    done = anyzoom("calibrate", "solve", "shots.csv", "-o", "lens.json", "--scales", "1.3,1.7", *words)
    assert done.code == 0, done
    assert [line.split()[0] for line in done.out.splitlines()] == ["scale", "x1.3", "x1.7"]
    profile = read_lens(Path("lens.json"))
    for wanted in profile.wanted:
        assert 4 / LENS.magnification(wanted.ring) == pytest.approx(wanted.scale, rel=2e-3)
        assert wanted.k1 == pytest.approx(LENS.k1(wanted.ring), abs=5e-4)
    assert Path("lens.html").read_text("utf-8").count("<figure>") == 5

    checks = [taken(Path(f"check_ring{wanted.ring:.6f}.jpg"), round(wanted.ring, 6)) for wanted in profile.wanted]
    checks.append(taken(Path("check_ring80.jpg"), 80, seed=5))
    done = anyzoom("calibrate", "verify", "lens.json", *checks, "-o", "lens.json", *words)
    profile = read_lens(Path("lens.json"))
    for wanted in profile.wanted:
        assert 4 / LENS.magnification(wanted.ring) == pytest.approx(wanted.scale, rel=1e-3)
        assert len(wanted.tries) == 1
    assert done.code == (0 if all(wanted.verified for wanted in profile.wanted) else 1)
    assert Path("lens.html").read_text("utf-8").count("<figure>") == len(checks)


def test_scales_out_of_reach_are_told(anyzoom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are solved; the exit code says that some are missing."""
    from tests.calibrate.test_report import photographs

    from anyzoom.calibrate import shots

    seen = iter(photographs(13))
    monkeypatch.setattr(shots, "measured", lambda *_: next(seen))
    names = [f"ring{number}.jpg" for number in range(13)]
    done = anyzoom("calibrate", "solve", *names, "-o", "lens.json", "--checkerboard", 20, "--scales", "2,6")
    assert done.code == 1
    assert done.err == "anyzoom: out of reach: x6. These shots cover x1 to x4.000.\n"
    assert read_lens(Path("lens.json")).unreachable == (6.0,)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("target", "-o", "a.png", "--sheet", "a4"), "a target is written as .pdf or .svg"),
        (("target", "-o", "a.svg", "--sheet", "a2", "--paper", "a4"), "Write a .pdf for tiles"),
        (("target", "-o", "a.pdf", "--distance", "3"), "--distance and --focal belong together"),
        (("target", "-o", "a.pdf", "--sheet", "a9"), "'a9' is not a size. Write WIDTHxHEIGHT in mm"),
        (("target", "-o", "a.pdf", "--sheet", "0x5"), "'0x5' is not a size"),
        (("target", "-o", "a.pdf", "--sheet", "a4", "--scales", "2,x"), "'x' is not a scale"),
        (("target", "-o", "a.pdf", "--sheet", "a4", "--scales", "0.5"), "one factor for both axes, 1 or more"),
        (("target", "-o", "a.pdf"), "a target needs a sheet size"),
        (("solve", "ring1.jpg", "-o", "l.json"), "say what was photographed"),
        (("solve", "ring1.jpg", "-o", "l.json", "--target", "board.json", "--checkerboard", "3"), "say what was"),
        (("solve", "ring1.jpg", "-o", "l.json", "--target", "missing.json"), "cannot read the target missing.json"),
        (("solve", "a.jpg", "-o", "l.json", "--target", "board.json"), "a.jpg: its name tells no ring position"),
        (("solve", "ring1.jpg", "-o", "l.json", "--target", "board.json"), "ring1.jpg: no such file"),
        (("solve", "ring2.png", "-o", "l.json", "--target", "board.json"), "ring2.png: 0 corners of the board found"),
        (("solve", "ring2.png", "-o", "board.json", "--target", "board.json"), "board.json exists"),
        (("verify", "old.json", "ring1.jpg", "-o", "l.json", "--target", "board.json"), "the version is not 1"),
    ],
)
def test_refusals_are_one_line(anyzoom: Command, words: tuple[str, ...], expected: str) -> None:
    write_target(design([2], smallest_mm=TELE_MM), Path("board.json"))
    Path("old.json").write_text('{"version": 0}')
    Image.new("RGB", (90, 60)).save("ring2.png")
    assert expected in anyzoom("calibrate", *words).refusal
    assert not Path("l.json").exists()
    assert not Path("a.pdf").exists()
