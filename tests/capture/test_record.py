"""Runs: whole, faulty, stopped, and killed at every line of the journal."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tests.capture.rig import TRAVEL, Box, Ring, Time

from anyzoom.capture.check import Rules
from anyzoom.capture.journal import JOURNAL, Line, read_journal
from anyzoom.capture.plan import Plan, plan_run
from anyzoom.capture.record import RESERVE, Outcome, Rig, record
from anyzoom.capture.rig import Ends
from anyzoom.errors import AnyzoomError, CannotRead, CaptureError

FRAMES = 4
RULES = Rules(settle_s=1.5, backlash=0.4)


def plan(frames: int = FRAMES, again: bool = True) -> Plan:
    return plan_run(Ends(0.5, TRAVEL), frames, again=again)


class Setup:
    """A rig and its parts."""

    def __init__(self, backlash: float = 0.4) -> None:
        self.ring, self.clock = Ring(backlash), Time()
        self.box = Box(self.ring)
        self.agrees = False
        self.asked: list[str] = []
        self.rig = Rig(self.ring, self.box, self.clock, {"iso": "100"}, Person(self))


class Person:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def agrees(self, question: str) -> bool:
        self.setup.asked.append(question)
        return self.setup.agrees


def rings(folder: Path) -> list[float]:
    """Where the ring was for every frame, by the raw files."""
    return [float(np.frombuffer(path.read_bytes())[0]) for path in sorted(folder.glob("frame_*.nef"))]


def events(folder: Path) -> list[str]:
    return [line.event for line in read_journal(folder / JOURNAL)[0]]


def reasons(folder: Path) -> list[str]:
    return [line.reason or "" for line in read_journal(folder / JOURNAL)[0] if line.event == "rejected"]


def test_a_run_is_taken_one_way_and_told_to_registration(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    assert record(folder, plan(), setup.rig, RULES) == Outcome("done", FRAMES + 1, FRAMES + 1)
    wanted = [stop.position for stop in plan().stops]
    assert rings(folder) == wanted, "the play of the belt is taken up before every frame"
    # The reference first, then back beyond the wide end's stop by the backlash, then one way.
    assert setup.ring.moves == pytest.approx([TRAVEL - 0.4, TRAVEL, wanted[0] - 0.4, *wanted, wanted[0]])
    assert setup.clock.seconds == pytest.approx(1.5 * (FRAMES + 1))
    told = json.loads((folder / "scene.json").read_text("utf-8"))
    assert told["again"] == "again.jpg"
    assert told["frames"] == [
        {"file": f"frame_{i:03d}.jpg", "ring": position, "step": i} for i, position in enumerate(wanted)
    ]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["again.jpg", "again.nef", "journal.jsonl", "scene.json"]
        + [f"frame_{i:03d}.{suffix}" for i in range(FRAMES) for suffix in ("jpg", "nef")]
    )
    lines, _ = read_journal(folder / JOURNAL)
    assert lines[0].plan == plan()
    grown = [line.grown for line in lines if line.event == "keeping" and line.frame not in (-1, 0)]
    step = 1.6 ** ((wanted[1] - wanted[0]) / TRAVEL)
    assert grown == pytest.approx([step] * (FRAMES - 1), rel=2e-3)
    assert events(folder)[-2:] == ["returned", "done"]


def test_a_run_without_a_second_reference_and_with_a_camera_alone(tmp_path: Path) -> None:
    setup = Setup()
    assert record(tmp_path / "run", plan(again=False), setup.rig, RULES).state == "done"
    assert "again" not in json.loads((tmp_path / "run" / "scene.json").read_text("utf-8"))


class Killed(BaseException):
    """Nothing may catch this."""


@pytest.mark.parametrize("disturbed", [False, True])
def test_killed_at_any_line_and_resumed_every_frame_is_there_once(tmp_path: Path, disturbed: bool) -> None:
    whole = Setup()
    record(tmp_path / "whole", plan(), whole.rig, RULES)
    count = len(events(tmp_path / "whole"))
    setup = Setup()

    def killing(at: int) -> Callable[[Line], None]:
        def told(line: Line) -> None:
            if line.number == at:
                raise Killed

        return told

    for at in range(count):
        folder = tmp_path / f"killed_{at}"
        with pytest.raises(Killed):
            record(folder, plan(), setup.rig, RULES, told=killing(at))
        if disturbed:  # somebody turned the motor meanwhile, and set the clock back
            setup.ring.move(1.0)
            setup.clock.offset -= timedelta(days=1)
        assert record(folder, None, setup.rig, RULES).state == "done"
        assert rings(folder) == [stop.position for stop in plan().stops], at
        lines, _ = read_journal(folder / JOURNAL)
        kept = [line.frame for line in lines if line.event == "kept"]
        assert kept == [-1, 0, 1, 2, 3], at
        shutil.rmtree(folder)


def test_killed_between_the_announcement_and_the_move(tmp_path: Path) -> None:
    """One of two files has come to its place."""
    setup, folder = Setup(), tmp_path / "run"

    def told(line: Line) -> None:
        if line.event == "keeping" and line.frame == 1:
            raise Killed

    with pytest.raises(Killed):
        record(folder, plan(), setup.rig, RULES, told=told)
    (folder / ".taken" / "frame_001.jpg").rename(folder / "frame_001.jpg")
    shots = setup.box.shots
    assert record(folder, None, setup.rig, RULES).state == "done"
    assert setup.box.shots == shots + 1 + 2, "one to compare, and the two that were missing"
    assert rings(folder) == [stop.position for stop in plan().stops]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda picture: Image.new("RGB", picture.size), "black: mean level 0.0 of 255"),
        (lambda picture: Image.new("RGB", picture.size, "white"), "over-exposed: 100 % of it is white"),
        (lambda picture: picture.point(lambda level: level // 4), "exposure or light has changed"),
        (lambda picture: picture.filter(ImageFilter.GaussianBlur(4)), "blurred: .* of the fine texture"),
        (lambda picture: picture.crop((0, 0, 200, 100)), "is 200x100, the one before 240x160"),
    ],
)
def test_a_faulty_photograph_is_taken_again(
    tmp_path: Path, spoil: Callable[[Image.Image], Image.Image], said: str
) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.box.spoil = lambda number, picture: spoil(picture) if number == 3 else picture
    assert record(folder, plan(), setup.rig, RULES).state == "done"
    (reason,) = reasons(folder)
    assert Path(folder / "rejected").is_dir()
    assert rings(folder) == [stop.position for stop in plan().stops]
    assert re.search(said, reason)


def test_a_truncated_file_and_a_busy_camera(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.box.truncated, setup.box.refusals = {2}, {4: "the camera is busy."}
    assert record(folder, plan(), setup.rig, RULES).state == "done"
    first, second = reasons(folder)
    assert first.startswith("does not decode: ")
    assert second == "the camera is busy."


def test_a_camera_that_stays_faulty_pauses_the_run(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.box.refusals = dict.fromkeys((3, 4, 5), "the camera's store is full.")
    outcome = record(folder, plan(), setup.rig, RULES)
    assert outcome == Outcome("paused", 3, 5, "frame 2, 3 times: the camera's store is full.")
    assert not (folder / "scene.json").exists()
    assert record(folder, None, setup.rig, RULES).state == "done"


def test_what_cannot_be_mended_by_trying_again_pauses_at_once(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.box.refusals, setup.box.final = {3: "the camera's store is full."}, {3}
    assert record(folder, plan(), setup.rig, RULES) == Outcome("paused", 3, 5, "the camera's store is full.")
    assert setup.box.shots == 4
    assert record(folder, None, setup.rig, RULES).state == "done"


def test_a_belt_that_does_not_pull_pauses_the_run(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"

    def told(line: Line) -> None:
        setup.ring.stuck = (line.event == "moving" and line.frame == 2) or setup.ring.stuck

    outcome = record(folder, plan(), setup.rig, RULES, told=told)
    assert outcome.state == "paused"
    assert "the ring has not moved: magnified x1.0000" in outcome.reason or "x0.99" in outcome.reason
    assert outcome.kept == 3


def test_what_moved_while_the_run_was_paused_is_asked_about(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.box.refusals = dict.fromkeys((3, 4, 5), "busy")
    record(folder, plan(), setup.rig, RULES)
    setup.box.spoil = lambda _, picture: picture.transform(
        picture.size, Image.Transform.AFFINE, (1, 0, 7, 0, 1, 0), Image.Resampling.BICUBIC
    )
    outcome = record(folder, None, setup.rig, RULES)
    assert outcome.state == "paused"
    told = re.match(r"frame 1 shows everything x([\d.]+) as large, ([\d.]+) % of the width aside. ", outcome.reason)
    assert told
    assert float(told[1]) == pytest.approx(1, abs=1e-3)
    assert float(told[2]) == pytest.approx(100 * 7 / 240, abs=0.1)
    assert setup.asked == [outcome.reason.split(" The rig has changed")[0] + " Go on from here?"]
    setup.agrees = True
    assert record(folder, None, setup.rig, RULES).state == "done"


def test_stopped_from_outside_and_resumed(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    outcome = record(folder, plan(), setup.rig, RULES, stops=lambda: setup.box.shots >= 2)
    assert outcome == Outcome("paused", 2, 5, "stopped. Resume it with: anyzoom capture resume.")
    assert record(folder, None, setup.rig, RULES).state == "done"


def test_a_motor_that_has_lost_count_moves_only_after_somebody_has_shown_where_it_is(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.ring.lost = True
    outcome = record(folder, plan(), setup.rig, RULES)
    assert outcome.reason == "the motor has lost count, and nobody has shown where the ring stands."
    assert setup.asked == ["Turn the ring to the wide end by hand, position 0. Does it stand there?"]
    assert setup.ring.moves == []
    setup.agrees = True
    assert record(folder, None, setup.rig, RULES).state == "done"
    assert rings(folder) == [stop.position for stop in plan().stops]


def test_a_motor_never_moves_without_ends_or_beyond_them(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    setup.ring.ends = None
    assert "nobody has told where the lens's ends are" in record(folder, plan(), setup.rig, RULES).reason
    setup.ring.ends = Ends(2, TRAVEL)
    assert "position 0.5 lies outside of the lens's ends, 2 to 10" in record(folder, None, setup.rig, RULES).reason
    assert setup.ring.moves == []


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    setup, folder = Setup(), tmp_path / "run"
    record(folder, plan(), setup.rig, RULES)
    shots = setup.box.shots
    assert record(folder, None, setup.rig, RULES) == Outcome("done", 5, 5)
    assert setup.box.shots == shots


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, folder = Setup(), tmp_path / "run"

    def refused(kind: type[AnyzoomError], said: str, **changed: object) -> None:
        told: dict[str, object] = {"folder": folder, "plan": plan(), "rig": setup.rig, "rules": RULES} | changed
        with pytest.raises(kind, match=said):
            record(**told)  # type: ignore[arg-type]

    refused(CaptureError, "holds no run to go on with: it has no journal.jsonl", plan=None)
    other = tmp_path / "other"
    other.mkdir()
    (other / "holiday.jpg").write_bytes(b"")
    refused(CaptureError, "is not empty. Choose a new folder for the run", folder=other)
    refused(CaptureError, r"the run takes about 5000000.1 GB, .* GB are free", shot_bytes=10**15)
    folder = tmp_path / "again"
    outcome = record(folder, plan(), setup.rig._replace(settings={"aperture": "8"}), RULES)
    assert outcome == Outcome("paused", 0, 5, "this camera has no setting aperture.")
    record(tmp_path / "done", plan(), setup.rig, RULES)
    refused(CaptureError, "holds a run already. Resume it, or choose another folder", folder=tmp_path / "done")
    changed = Rules(settle_s=9)
    refused(
        CaptureError, "began with other rules or camera settings", folder=tmp_path / "done", plan=None, rules=changed
    )
    (tmp_path / "done" / "frame_001.jpg").write_bytes(b"something else")
    refused(CannotRead, "frame_001.jpg: gone or changed since it was taken", folder=tmp_path / "done", plan=None)

    class Usage:
        free = RESERVE - 1

    full = tmp_path / "full"
    setup.box.refusals = {setup.box.shots + 1: "busy"}
    monkeypatch.setattr("anyzoom.capture.record.shutil.disk_usage", lambda _: Usage)
    refused(CaptureError, "0.1 GB are free", folder=full)
