"""A run that is started, paused and asked about from other threads."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.capture.phone.conftest import FRAMES, RULES, SHOTS, Bench, plan
from tests.capture.rig import TRAVEL, ZOOM, photograph

from anyzoom.capture.check import Rules
from anyzoom.capture.journal import JOURNAL, Line, read_journal
from anyzoom.capture.phone import Director
from anyzoom.capture.phone.director import curve
from anyzoom.capture.plan import Plan, Stop
from anyzoom.errors import CannotRead, CaptureError, MotorError


def events(folder: Path) -> list[str]:
    return [line.event for line in read_journal(folder / JOURNAL)[0]]


def rings(folder: Path) -> list[float]:
    """Where the ring was for every frame, by the raw files."""
    return [float(np.frombuffer(path.read_bytes())[0]) for path in sorted(folder.glob("frame_*.nef"))]


POSITIONS = [stop.position for stop in plan().stops]


def test_a_run_from_start_to_done(bench: Bench) -> None:
    before = bench.director.state()
    assert (before.state, before.kept, before.wanted, before.run) == ("ready", 0, SHOTS, "museum")
    assert (before.picture, before.curve, before.seconds_left, before.span) == (None, (), None, (0.5, TRAVEL))
    bench.box.let()
    bench.director.start()
    done = bench.until(lambda status: status.state == "done")
    assert (done.kept, done.wanted, done.reason, done.doing, done.question) == (SHOTS, SHOTS, "", "", None)
    assert done.picture == f"frame_{FRAMES - 1:03d}.jpg"
    assert [point.position for point in done.curve] == POSITIONS
    truth = [ZOOM ** ((position - POSITIONS[0]) / TRAVEL) for position in POSITIONS]
    assert [point.magnification for point in done.curve] == pytest.approx(truth, rel=3e-3)
    assert done.version > before.version
    assert rings(bench.folder) == POSITIONS
    with pytest.raises(CaptureError, match="the run is done"):
        bench.director.start()
    bench.director.pause()
    assert bench.director.state() == done


def test_what_is_under_way_is_told(bench: Bench) -> None:
    bench.director.start()
    shooting = bench.until(lambda status: status.doing.startswith("Photographing"))
    assert (shooting.state, shooting.doing) == ("running", "Photographing the long end, once more")
    bench.box.let(1)
    bench.until(lambda status: status.doing == "Photographing frame 0")
    assert bench.director.state().picture == "again.jpg"
    bench.director.start()  # nothing: it runs
    bench.box.let()
    bench.until(lambda status: status.state == "done")
    assert events(bench.folder).count("planned") == 1


def test_seconds_left_are_the_pace_so_far_by_the_rigs_clock(bench: Bench) -> None:
    bench.director.start()
    for shot in range(3):
        bench.until(lambda status, shot=shot: status.kept == shot and "Photographing" in status.doing)  # type: ignore[misc]
        bench.clock.sleep(6.5)  # an exposure; with the rest before it 8 s
        assert bench.director.state().seconds_left == (pytest.approx(3 * 8 - 8) if shot == 2 else None)
        bench.box.let(1)
    bench.until(lambda status: status.kept == 3 and status.doing == "Photographing frame 2")
    assert bench.director.state().seconds_left == pytest.approx(2 * 8 - 1.5)
    bench.clock.sleep(1000)  # late: no less than what the others will take
    assert bench.director.state().seconds_left == pytest.approx(8)
    bench.box.let()
    assert bench.until(lambda status: status.state == "done").seconds_left is None


def test_paused_and_resumed(bench: Bench) -> None:
    bench.director.start()
    bench.box.let(2)
    bench.until(lambda status: status.kept == 2 and "Photographing" in status.doing)
    bench.director.pause()
    assert bench.director.state().state == "pausing"
    assert bench.ring.stops == 1
    with pytest.raises(CaptureError, match="still coming to rest"):
        bench.director.start()
    bench.box.let()
    paused = bench.until(lambda status: status.state == "paused")
    assert (paused.kept, paused.reason, paused.ended) == (3, "", False), "what was being taken is kept"
    assert events(bench.folder)[-1] == "paused"
    bench.director.start()
    assert bench.until(lambda status: status.state == "done").kept == SHOTS
    assert rings(bench.folder) == POSITIONS
    assert events(bench.folder).count("resumed") == 1


def test_stopped_for_good_and_resumed_by_another_server(bench: Bench, tmp_path: Path) -> None:
    bench.director.start()
    bench.box.let(2)
    bench.until(lambda status: status.kept == 2 and "Photographing" in status.doing)
    bench.director.stop()
    stopping = bench.director.state()
    assert (stopping.state, stopping.ending, stopping.ended) == ("pausing", True, False)
    assert not bench.director.wait(0)
    bench.box.let()
    stopped = bench.until(lambda status: status.ended)
    assert (stopped.state, stopped.kept) == ("paused", 3)
    assert bench.director.wait(0)
    with pytest.raises(CaptureError, match="Resume the run with: anyzoom capture resume"):
        bench.director.start()
    again = Director(bench.folder, None, bench.rig, RULES)
    found = again.state()
    assert (found.state, found.kept, found.wanted, found.picture) == ("paused", 3, SHOTS, "frame_001.jpg")
    assert found.curve == stopped.curve
    assert found.reason == stopped.reason or found.reason.startswith("stopped")
    bench.director = again
    again.start()
    assert bench.until(lambda status: status.state == "done").kept == SHOTS
    assert rings(bench.folder) == POSITIONS
    over = Director(bench.folder, plan(), bench.rig, RULES).state()
    assert (over.state, over.kept, over.reason) == ("done", SHOTS, "")


def test_stopped_before_it_began(bench: Bench) -> None:
    bench.director.stop()
    state = bench.director.state()
    assert (state.state, state.ended) == ("ready", True)
    assert not bench.folder.exists()


@pytest.mark.parametrize("agrees", [True, False])
def test_a_question_waits_for_its_answer(bench: Bench, agrees: bool) -> None:
    bench.ring.lost = True
    bench.box.let()
    bench.director.start()
    question = bench.until(lambda status: status.question is not None).question
    assert question
    assert question.words == "Turn the ring to the wide end by hand, position 0. Does it stand there?"
    with pytest.raises(CaptureError, match="has been answered, or is not asked any more"):
        bench.director.answer(question.number + 1, True)
    assert bench.director.state().question == question
    bench.director.answer(question.number, agrees)
    assert bench.director.state().question is None
    with pytest.raises(CaptureError, match="has been answered"):
        bench.director.answer(question.number, not agrees)
    end = bench.until(lambda status: status.state in ("done", "paused"))
    assert end.state == ("done" if agrees else "paused")
    assert end.reason == ("" if agrees else "the motor has lost count, and nobody has shown where the ring stands.")
    if not agrees:
        assert bench.ring.moves == []
        bench.director.start()  # asked once more, under another number
        assert bench.until(lambda status: status.question is not None).question != question


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_pausing_answers_no(bench: Bench, how: str) -> None:
    bench.ring.lost = True
    bench.director.start()
    bench.until(lambda status: status.question is not None)
    getattr(bench.director, how)()
    state = bench.until(lambda status: status.state == "paused")
    assert state.question is None
    assert state.reason.startswith("the motor has lost count")
    assert bench.ring.moves == []


def test_rejections_are_told_and_a_camera_that_stays_faulty_pauses(bench: Bench) -> None:
    bench.box.refusals = dict.fromkeys((1, 3, 4, 5), "the camera is busy.")
    bench.box.let()
    bench.director.start()
    paused = bench.until(lambda status: status.state == "paused")
    assert paused.reason == "frame 1, 3 times: the camera is busy."
    assert paused.rejected == 4
    assert paused.rejections == (*["Frame 1: the camera is busy."] * 3, "Frame 0: the camera is busy.")
    bench.director.start()
    done = bench.until(lambda status: status.state == "done")
    assert (done.kept, done.rejected, done.reason) == (SHOTS, 4, "")


def test_a_run_that_fails_says_why_and_may_be_tried_again(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "holiday.jpg").write_bytes(b"")
    bench.director.start()
    failed = bench.until(lambda status: status.state == "failed")
    assert failed.reason == f"{bench.folder} is not empty. Choose a new folder for the run."
    shutil.rmtree(bench.folder)
    bench.box.let()
    bench.director.start()
    assert bench.until(lambda status: status.state == "done").reason == ""


def test_our_own_mistakes_end_the_run_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.ring, "where", lambda: 1 / 0)
    bench.director.start()
    failed = bench.until(lambda status: status.state == "failed")
    assert failed.reason == "this is a mistake of the program: ZeroDivisionError. Its log tells more."


def test_a_motor_that_cannot_be_stopped_is_the_recorders_to_tell(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise MotorError("the port has vanished.")

    monkeypatch.setattr(bench.ring, "stop", stop)
    bench.director.start()
    bench.until(lambda status: "Photographing" in status.doing)
    bench.director.pause()
    bench.box.let()
    assert bench.until(lambda status: status.state == "paused").kept == 1


def test_a_program_that_was_killed_is_told_of(bench: Bench) -> None:
    bench.director.start()
    bench.box.let(2)
    bench.until(lambda status: status.kept == 2 and "Photographing" in status.doing)
    copy = bench.folder.with_name("copy")
    shutil.copytree(bench.folder, copy)  # as a killed program leaves it
    state = Director(copy, None, bench.rig, RULES).state()
    assert (state.state, state.reason, state.kept) == ("paused", "The program ended in the middle.", 2)


def test_refusals(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"holds no run to go on with: it has no journal\.jsonl"):
        Director(tmp_path / "nothing", None, bench.rig)
    bench.box.let()
    bench.director.start()
    bench.until(lambda status: status.state == "done")
    with pytest.raises(CaptureError, match="holds a run of another plan"):
        Director(bench.folder, plan(7), bench.rig)
    other = Director(bench.folder, None, bench.rig, Rules(settle_s=9))
    assert other.state().state == "done"
    (bench.folder / JOURNAL).write_text("holiday\n")
    with pytest.raises(CannotRead, match="not a journal"):
        Director(bench.folder, None, bench.rig)


def test_what_moved_meanwhile_is_asked_about(bench: Bench) -> None:
    bench.director.start()
    bench.box.let(3)
    bench.until(lambda status: status.kept == 3 and "Photographing" in status.doing)
    bench.director.pause()
    bench.box.let()
    bench.until(lambda status: status.state == "paused")
    bench.box.spoil = lambda _number, _picture: photograph(bench.ring.ring, aside=7)
    bench.director.start()
    question = bench.until(lambda status: status.question is not None).question
    assert question
    assert re.search(r"% of the width aside\. Go on from here\?$", question.words)
    bench.director.answer(question.number, True)
    assert bench.until(lambda status: status.state == "done").kept == SHOTS


def kept(grown: list[float | None]) -> dict[int, Line]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [Line(number=i, at=at, event="keeping", frame=i, grown=one) for i, one in enumerate([None, *grown])]
    return dict(enumerate(lines))


@pytest.mark.parametrize(
    ("grown", "scales", "told"),
    [
        ([2.0, 1.5, 2.0], None, [1, 2, 3, 6]),
        ([2.0, None, 2.0], None, [1, 2, None, 8]),  # the pace of its neighbours
        ([2.0, None, 2.0], [12.0, 6.0, 2.0, 1.0], [1, 2, None, 12]),  # the plan's
        ([None, None, 4.0], None, [1, None, None, 64]),
        ([None, None, None], None, [1, None, None, None]),
        ([None, 2.0], [12.0, 4.0, 2.0, 1.0], [1, None, 6]),
        ([], None, [1]),
    ],
)
def test_the_curve_has_gaps(grown: list[float | None], scales: list[float] | None, told: list[float | None]) -> None:
    stops = tuple(Stop(position=-3.0 * i, scale=scales[i] if scales else None) for i in range(4))
    found = curve(Plan(spacing="ring", stops=stops), kept(grown))
    assert [point.position for point in found] == [stop.position for stop in stops[: len(found)]]
    assert [point.magnification for point in found] == [None if one is None else pytest.approx(one) for one in told]
    assert curve(Plan(spacing="ring", stops=stops), {}) == ()
