"""The tethered camera: over libgphoto2's own virtual camera, and over a library that plays what hardware would do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.capture.camera.conftest import Instant, Played, a_jpeg

from anyzoom.capture.camera import TetheredCamera, TetheredSettings, cameras, session, tethered
from anyzoom.capture.camera.session import Session
from anyzoom.capture.camera.troubles import REFUSALS, Lost, Refused
from anyzoom.errors import CameraError, CannotWrite, MissingExtra

QUICK = TetheredSettings(quiet_s=0.001)
NAME = "Nikon DSC D750 at usb:001,001"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_sixty_frames_through_the_real_library(
    virtual: Path, run: Path, clock: Instant, sessions: list[Session]
) -> None:
    """Over its full store, which only a new session clears, after 26 pictures and again after 52."""
    camera = TetheredCamera(QUICK, clock)
    assert camera.name == NAME
    for number in range(60):
        virtual.write_bytes(a_jpeg(number, pad_to=4000))
        assert camera.shoot(run, f"frame_{number:03d}") == (run / f"frame_{number:03d}.jpg",)
    camera.close()
    assert len(list(run.iterdir())) == 60
    for number in range(60):
        assert (run / f"frame_{number:03d}.jpg").read_bytes() == a_jpeg(number, pad_to=4000)
    assert len(sessions) == 3
    assert all(one.process.returncode is not None for one in sessions)


def test_settings_are_found_set_read_back_and_refused(virtual: Path, clock: Instant) -> None:
    camera = TetheredCamera(QUICK, clock)
    assert camera.settings() == {"shutterspeed": "0.0100s", "aperture": "f/2.8", "target": "Internal RAM"}
    asked = {"aperture": "8", "shutterspeed": "1/200", "autofocus": "off", "fastfs": "off"}
    kept = {"aperture": "f/8", "shutterspeed": "0.0050s", "autofocus": "Off", "fastfs": "0"}
    assert camera.configure(asked) == kept
    assert camera.settings() == {**kept, "target": "Internal RAM"}
    with pytest.raises(CameraError, match=r"no 'f/7'. Its nearest values: f/7.1, f/6.3, f/8, f/5.6\.$"):
        camera.configure({"f-number": "f/7"})
    with pytest.raises(CameraError, match=r"has no setting 'apperture' \(it has aperture\)"):
        camera.configure({"apperture": "8"})
    with pytest.raises(CameraError, match="batterylevel is '50%' and cannot be set to '20%'"):
        camera.configure({"batterylevel": "20%"})
    assert camera.configure({"batterylevel": "50%"}) == {"batterylevel": "50%"}
    camera.close()


@pytest.mark.parametrize("blow", [signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV], ids=lambda blow: blow.name)
def test_a_child_that_hangs_or_dies_is_replaced(
    virtual: Path, run: Path, clock: Instant, sessions: list[Session], blow: signal.Signals
) -> None:
    """The new one has the settings that the old one was given."""
    camera = TetheredCamera(TetheredSettings(quiet_s=0.001, deadline_s=1.5), clock)
    camera.configure({"aperture": "f/8"})
    for number in range(2):
        os.kill(sessions[-1].process.pid, blow)
        assert camera.shoot(run, f"{number}")[0].read_bytes() == virtual.read_bytes()
        assert camera.settings()["aperture"] == "f/8"
    assert len(sessions) == 3
    assert [one.process.returncode is None for one in sessions] == [False, False, True]
    camera.close()
    assert hidden(run) == []


@pytest.fixture
def child(virtual: Path) -> Iterator[Session]:
    """A bare session, its camera started."""
    one = Session()
    try:
        one.ask(10, "start", *one.ask(10, "cameras")[0])
        yield one
    finally:
        one.kill()


def test_the_child_ends_with_its_parent_even_amidst_a_request(child: Session) -> None:
    start = time.monotonic()
    with pytest.raises(Lost, match=r"no answer within 0.3 s to: capture\. Switch the camera off and on"):
        child.ask(0.3, "capture", 0.001, 2, 30)  # it waits half a minute for a second file
    assert time.monotonic() - start < 10
    assert child.process.poll() is None
    child._pipe.close()
    assert child.process.wait(5) == 0


def test_a_full_disk_is_no_fault_of_the_camera(child: Session) -> None:
    ((folder, name),) = child.ask(10, "capture", 0.001, 1, 1)
    with pytest.raises(OSError, match="No space left"):
        child.ask(10, "fetch", folder, name, "/dev/full")


def test_what_is_deleted_is_gone_from_the_camera(child: Session, tmp_path: Path) -> None:
    ((folder, name),) = child.ask(10, "capture", 0.001, 1, 1)
    child.ask(10, "fetch", folder, name, str(tmp_path / "before"))
    child.ask(10, "delete", folder, name)
    with pytest.raises(Refused, match="no longer in the camera"):
        child.ask(10, "fetch", folder, name, str(tmp_path / "after"))


def test_what_is_plugged_in_is_listed_with_what_it_answers(played: Played) -> None:
    played.answers["start"] = [Refused(-53, "")]
    (claimed,) = cameras()
    assert claimed[:3] == ("Nikon DSC D810", "usb:001,004", {})
    assert claimed.problem is not None
    assert "another program holds the camera" in claimed.problem
    (answering,) = cameras()
    assert answering.settings == {"aperture": "f/4", "quality": "JPEG Fine"}
    assert answering.problem is None


def test_the_virtual_camera_is_listed(virtual: Path) -> None:
    (found,) = cameras()
    assert (found.model, found.port, found.problem) == ("Nikon DSC D750", "usb:001,001", None)
    assert found.settings["aperture"] == "f/2.8"


def test_no_camera_through_the_real_library(
    virtual: Path, monkeypatch: pytest.MonkeyPatch, clock: Instant, sessions: list[Session]
) -> None:
    monkeypatch.delenv("VCAMERADIR")
    if cameras():
        pytest.skip("a real camera is plugged in")
    with pytest.raises(CameraError, match=r"there is no camera. Switch it on, plug it in") as caught:
        TetheredCamera(QUICK, clock)
    assert caught.value.again
    assert all(one.process.returncode is not None for one in sessions)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"anyzoom\[capture\]"):
        TetheredCamera()


def test_raw_and_jpeg_are_both_fetched_and_deleted_afterwards(played: Played, run: Path, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    camera.configure({"quality": "NEF+Fine"})
    assert camera.shoot(run, "a") == (run / "a.jpg", run / "a.nef")
    assert (run / "a.nef").read_bytes() == b"/store/DCIM/DSC_1.NEF"
    assert (run / "a.jpg").read_bytes() == b"/store/DCIM/DSC_1.JPG"
    done = [row[0] for row in played.asked]
    assert done[-5:] == ["capture", "fetch", "fetch", "delete", "delete"]
    assert hidden(run) == []


def test_a_picture_is_deleted_only_when_all_of_the_shot_is_safe(played: Played, run: Path, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    camera.configure({"quality": "NEF+Fine"})
    played.answers["fetch"] = [Refused(-7, "")]
    with pytest.raises(CameraError, match="cable to the camera lost data"):
        camera.shoot(run, "a")
    assert list(run.iterdir()) == []
    assert "delete" not in [row[0] for row in played.asked]


def test_a_card_that_cannot_be_cleared_costs_no_picture(
    played: Played, run: Path, clock: Instant, caplog: pytest.LogCaptureFixture
) -> None:
    played.answers["delete"] = [Refused(-6, "")]
    assert TetheredCamera(clock=clock).shoot(run, "a") == (run / "a.jpg",)
    assert "DSC_1.JPG stays in Nikon DSC D810" in caplog.text


@pytest.mark.parametrize(
    ("quality", "files", "sentence", "again"),
    [
        ("NEF+Fine", ["DSC_1.JPG"], r"set to 'NEF\+Fine', but only DSC_1.JPG came within 10 s", True),
        ("JPEG Fine", ["DSC_1.JPG", "DSC_2.JPG"], "made DSC_1.JPG, DSC_2.JPG; one JPEG .* Switch continuous", False),
        ("JPEG Fine", ["DSC_1.NEF"], "made DSC_1.NEF; one JPEG .* Set its quality", False),
    ],
)
def test_shots_of_other_files_than_expected(
    played: Played, run: Path, clock: Instant, quality: str, files: list[str], sentence: str, again: bool
) -> None:
    played.settings["imagequality"]["value"] = quality
    played.answers["capture"] = [[["/store", name] for name in files]]
    with pytest.raises(CameraError, match=sentence) as caught:
        TetheredCamera(clock=clock).shoot(run, "a")
    assert caught.value.again is again
    assert list(run.iterdir()) == []


def test_a_picture_without_a_byte_is_none(played: Played, run: Path, clock: Instant) -> None:
    played.answers["fetch"] = [None]
    with pytest.raises(CameraError, match=r"DSC_1\.JPG without a byte"):
        TetheredCamera(clock=clock).shoot(run, "a")
    assert list(run.iterdir()) == []


def test_a_full_card_is_told_when_a_new_session_does_not_clear_it(played: Played, run: Path, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    played.answers["capture"] = [Refused(-3, ""), Refused(-3, "")]
    with pytest.raises(CameraError, match=r"card or memory is full\. Empty or change it") as caught:
        camera.shoot(run, "a")
    assert not caught.value.again
    assert played.ended == ["end"]


@pytest.mark.parametrize("code", [-7, -10, -105, -110])
def test_a_second_try_is_made_in_a_new_session(played: Played, run: Path, clock: Instant, code: int) -> None:
    camera = TetheredCamera(clock=clock)
    camera.configure({"aperture": "f/8"})
    played.answers["capture"] = [Refused(code, "")]
    with pytest.raises(CameraError) as caught:
        camera.shoot(run, "a")
    assert caught.value.again
    played.settings["f-number"]["value"] = "f/4"  # it was switched off and on
    assert camera.shoot(run, "a") == (run / "a.jpg",)
    assert played.starts == 2
    assert camera.settings()["aperture"] == "f/8"


def test_a_camera_that_hangs_for_good_is_given_up_after_two_restarts(played: Played, run: Path, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    played.answers["capture"] = [Lost("the camera gave no answer within 60 s to: capture")] * 3
    with pytest.raises(CameraError, match=r"no answer within 60 s.* 2 restarts did not help\.$") as caught:
        camera.shoot(run, "a")
    assert not caught.value.again
    assert played.starts == 3
    assert played.ended == ["kill"] * 3


def test_a_camera_that_is_busy_after_it_was_lost_costs_a_restart(played: Played, run: Path, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    played.answers["capture"] = [Lost("gone")]
    played.answers["start"] = [Refused(-110, "")]
    assert camera.shoot(run, "a") == (run / "a.jpg",)
    assert played.starts == 3


def test_the_exposure_mode_is_set_first(played: Played, clock: Instant) -> None:
    played.settings["expprogram"] = {"value": "P", "kind": "choice", "choices": ["P", "M"]}
    TetheredCamera(clock=clock).configure({"aperture": "f/8", "mode": "M"})
    assert [row[1:] for row in played.asked if row[0] == "write"] == [("expprogram", "M"), ("f-number", "f/8")]


def test_a_value_that_the_camera_does_not_keep(played: Played, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    played.write = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(CameraError, match=r"set to 'f/8' and reads 'f/4'\. Turn the camera's mode dial"):
        camera.configure({"aperture": "f/8"})


def test_an_interrupt_takes_the_late_answer_with_it(played: Played, run: Path, clock: Instant) -> None:
    camera = TetheredCamera(clock=clock)
    played.answers["capture"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        camera.shoot(run, "a")
    assert played.ended == ["kill"]
    assert camera.shoot(run, "a") == (run / "a.jpg",)


def test_a_folder_that_is_not_there(played: Played, run: Path, clock: Instant) -> None:
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        TetheredCamera(clock=clock).shoot(run / "nowhere", "a")


ONE, OTHER, TWIN = ("Canon EOS R10", "usb:001,004"), ("Nikon DSC D810", "usb:001,007"), ("Canon EOS R10", "usb:001,009")


def test_the_camera_to_take() -> None:
    assert tethered.choose([ONE], None, None) == ONE
    assert tethered.choose([ONE, OTHER], "usb:001,007", None) == OTHER
    assert tethered.choose([TWIN, OTHER], "usb:001,004", "Canon EOS R10") == TWIN  # it has come back elsewhere
    assert tethered.choose([OTHER, ONE], None, "Canon EOS R10") == ONE
    assert tethered.choose([ONE, TWIN], "usb:001,009", "Canon EOS R10") == TWIN
    with pytest.raises(CameraError, match="one camera was expected, and there is Canon EOS R10 at usb:001,004, Nikon"):
        tethered.choose([ONE, OTHER], None, None)
    with pytest.raises(CameraError, match="one camera at usb:009,001 was expected, and there is Canon"):
        tethered.choose([ONE], "usb:009,001", None)
    with pytest.raises(CameraError, match="one Canon EOS R10 was expected"):
        tethered.choose([ONE, TWIN], "usb:001,005", "Canon EOS R10")


@pytest.mark.parametrize("code", [-1, -2, -3, -6, -7, -10, -53, -105, -108, -110, -115, -999])
def test_every_error_is_a_sentence_with_a_remedy(code: int) -> None:
    sentence = str(Refused(code, "words of the library"))
    assert sentence.endswith(".")
    assert len(sentence) > 60
    assert sentence.count(". ") >= 1
    assert ("-999 (words of the library)" in sentence) is (code not in REFUSALS)
