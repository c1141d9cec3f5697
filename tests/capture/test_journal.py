"""The diary of a run: nothing is lost, nothing is invented, and one program writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anyzoom.capture.journal import JOURNAL, Journal, read_journal
from anyzoom.capture.rig import WallClock
from anyzoom.errors import CannotRead, CaptureError


def begun(folder: Path) -> Path:
    with Journal(folder, WallClock()) as journal:
        journal.write("moving", frame=0, position=1.5)
        journal.write("arrived", frame=0, position=1.5)
        journal.write("keeping", frame=0, files={"frame_000.jpg": "ab"})
        journal.write("kept", frame=0)
    return folder / JOURNAL


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = begun(tmp_path / "run")
    lines, whole = read_journal(path)
    assert whole == path.stat().st_size
    assert [(line.number, line.event) for line in lines] == [(0, "moving"), (1, "arrived"), (2, "keeping"), (3, "kept")]
    assert lines[2].files == {"frame_000.jpg": "ab"}
    with Journal(tmp_path / "run", WallClock()) as journal:
        assert list(journal.kept()) == [0]
        assert journal.write("done").number == 4


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_what_a_killed_program_left_unfinished_is_dropped(tmp_path: Path, cut: int) -> None:
    path = begun(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    with Journal(tmp_path, WallClock()) as journal:
        assert len(journal.lines) == 3
        journal.write("kept", frame=0)
    lines, _ = read_journal(path)
    assert [line.event for line in lines] == ["moving", "arrived", "keeping", "kept"]


def test_a_line_is_on_the_disk_before_anything_else_happens(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from anyzoom.capture.journal import Journal
from anyzoom.capture.rig import WallClock
journal = Journal(Path({str(tmp_path)!r}), WallClock())
for number in range(50):
    journal.write("moving", frame=number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(read_journal(tmp_path / JOURNAL)[0]) == 50


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda content: content.replace(b'"moving"', b'"dancing"'), "line 1: not a journal of this anyzoom"),
        (lambda content: b"{}\n" + content, "line 1: not a journal of this anyzoom"),
        (lambda content: content.split(b"\n", 1)[1], "line 1: says that it is line 2; a line is missing"),
    ],
)
def test_a_journal_that_somebody_has_changed_is_refused(tmp_path: Path, changed: object, said: str) -> None:
    path = begun(tmp_path)
    assert callable(changed)
    path.write_bytes(changed(path.read_bytes()))
    with pytest.raises(CannotRead, match=said):
        Journal(tmp_path, WallClock())


def test_one_program_records_in_a_folder(tmp_path: Path) -> None:
    with Journal(tmp_path, WallClock()), pytest.raises(CaptureError, match="another program is recording there"):
        Journal(tmp_path, WallClock())
    with Journal(tmp_path, WallClock()):  # and afterwards another may
        pass
