"""anyzoom align and anyzoom pairs stats, as typed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.align.conftest import drawn_run

from anyzoom.pairs.manifest import MANIFEST, read_manifest

Command = Callable[..., Any]  # gives a Done of tests/conftest.py


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_photographs_to_a_dataset(anyzoom: Command, here: Path) -> None:
    """Two scenes, one for testing; one that is lost; a photograph of something else."""
    drawn_run(Path("runs/hall"), seed=5, factors=(1.6, 1.25, 1.0), moved=1)
    drawn_run(Path("runs/yard"), seed=6, factors=(2.0, 1.5, 1.0))
    Path("runs/empty").mkdir()
    words = ["align", "runs/empty", "runs/hall", "runs/yard", "-o", "set", "--layout", "realarbisr"]
    words += ["--scales", "2,1.5", "--test", "yard", "--licence", "CC0-1.0"]
    done = anyzoom(*words)
    assert done.code == 1
    lines = done.out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["scene", "split", "photographs", "pairs", "rejected", "outcome"],
        ["empty", "train", "0", "0", "0", "lost"],
        ["hall", "train", "3", "0", "1", "lost"],
        ["yard", "test", "3", "2", "0", "aligned"],
    ]
    assert lines[4:] == ["1 aligned, 0 unchanged, 2 lost", "set/certificate.html", "set/DATASET.md"]
    told = done.err.splitlines()
    assert all(line.startswith("anyzoom: ") for line in told)
    assert any("runs/empty holds no photograph" in line for line in told)
    assert any("runs/hall/1.png: rejected, " in line for line in told)
    assert sum("runs/hall/1.png" in line for line in told) == 1
    assert any("hall: no x2: the nearest frame is x1.6" in line for line in told)
    assert "licence: CC0-1.0" in Path("set/DATASET.md").read_text()
    assert {row.nominal for row in read_manifest(Path("set", MANIFEST)) if row.role == "lr"} == {1.5, 2}

    shutil.rmtree("runs/empty")
    again = anyzoom("align", "runs/yard", "-o", "set", "--layout", "realarbisr", "--scales", "1.5,2", "--test", "yard")
    assert (again.code, again.err) == (0, "")
    assert "0 aligned, 1 unchanged, 0 lost" in again.out

    check = anyzoom("pairs", "check", "set", "--split", "test")
    assert (check.code, check.out.splitlines()[-1]) == (0, "nothing is wrong")
    stats = anyzoom("pairs", "stats", "set", "--csv", "stats.csv", "--figure", "stats.svg")
    assert stats.code == 0
    assert stats.out.startswith("set: 2 scenes (test: 2)\n2 LR frames, x1.50 to x2.00\n")
    assert "gates that photographs failed\n" in stats.out
    assert Path("stats.csv").read_text().splitlines()[1] == "x1.5/yard,test,untagged,2,1.5000,1.5000,1.5000"
    assert Path("stats.svg").read_text().startswith("<svg ")


def test_it_can_stop_at_the_first_lost_scene(anyzoom: Command, here: Path) -> None:
    Path("a").mkdir()
    Path("b").mkdir()
    assert "0 aligned, 0 unchanged, 2 lost" in anyzoom("align", "a", "b", "-o", "set").out
    assert "0 aligned, 0 unchanged, 1 lost" in anyzoom("align", "a", "b", "-o", "set", "--stop").out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--scales", "2x3"], "a frame has one scale for both axes"),
        (["--scales", "7"], "the layout coz has no place for x7"),
        (["--layout", "realsr", "--crop-only"], "the layout realsr holds exact scales"),
        (["--test", "b"], "the test scene 'b' is none of those given: a"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    anyzoom: Command, here: Path, words: list[str], expected: str
) -> None:
    Path("a").mkdir()
    assert anyzoom("align", "a", "-o", "set", *words).refusal.startswith(expected)
    assert not Path("set").exists()
