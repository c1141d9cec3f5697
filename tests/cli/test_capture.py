"""`anyzoom capture`"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anyzoom.capture.rig import Ends
from anyzoom.capture.setup import ends_file, read_ends, write_ends

Command = Callable[..., Any]  # gives a Done of tests/conftest.py

RIG = """
[motor]
port = "/dev/ttyNOWHERE"
settings = { feed = 300 }
[camera]
kind = "folder"
connection = { folder = "shots" }
[rules]
backlash = 0.25
"""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("rig.toml")
    path.write_text(RIG, "utf-8")
    Path("shots").mkdir()
    return path


def test_a_plan_is_printed_and_nothing_is_opened(anyzoom: Command, rig: Path) -> None:
    write_ends(rig, Ends(0, -40), "a motor")
    done = anyzoom("capture", "plan", "--rig", rig, "--frames", 3)
    assert done.code == 0, done.err
    assert [line.split() for line in done.out.splitlines()[:3]] == [
        ["0", "position", "-0.2500"],  # it is come to from beyond, by the backlash
        ["1", "position", "-20.1250"],
        ["2", "position", "-40.0000"],
    ]
    assert "4 photographs, one of them the long end once more: about 1 min, 160 MB" in done.out
    assert "3 photographs: " in anyzoom("capture", "plan", "--rig", rig, "--frames", 3, "--once").out


def test_ends_are_kept_beside_the_rig(rig: Path) -> None:
    assert read_ends(rig) is None
    path = write_ends(rig, Ends(1.5, -2), "the motor at X")
    assert path == ends_file(rig) == Path("rig.ends.json")
    assert read_ends(rig) == Ends(1.5, -2)
    assert json.loads(path.read_text("utf-8")) == {"version": 1, "motor": "the motor at X", "wide": 1.5, "tele": -2.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan"], "no rig is named. Add --rig rig.toml, or --simulate to try without one."),
        (["plan", "--rig", "rig.toml"], "nobody has shown where the lens of rig.toml ends: anyzoom capture ends"),
        (["plan", "--rig", "gone.toml"], "cannot read gone.toml: No such file or directory."),
        (["plan", "--simulate", "--frames", "1"], "a run of 1 frames has nothing to compare."),
        (["plan", "--simulate", "--spacing", "scales", "--scales", "4,x"], "'4,x' are no scales."),
        (["plan", "--simulate", "--spacing", "magnification"], "stops by magnification need a calibrated lens"),
        (["resume", "nowhere", "--simulate"], "nowhere holds no run to go on with: it has no journal.jsonl."),
        (["run", "full", "--simulate", "--frames", "2"], "full is not empty. Choose a new folder for the run."),
        (["run", "new", "--simulate", "--picture", "gone.png"], "gone.png"),
        (["run", "new", "--simulate", "--picture", "dot.png", "--phone", "x"], "'x' is no address for the page."),
    ],
)
def test_what_cannot_be_done_is_one_line(anyzoom: Command, rig: Path, arguments: list[str], said: str) -> None:
    Path("full").mkdir()
    Path("full/holiday.jpg").write_bytes(b"")
    Image.new("RGB", (90, 60)).save("dot.png")
    done = anyzoom("capture", *arguments)
    assert done.code == 1
    assert said in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (('kind = "folder"', 'knid = "folder"'), "camera.knid: Extra inputs are not permitted. Did you mean 'kind'?"),
        (("feed = 300", "speed = 300"), "settings of the motor: speed: "),
        (('"folder"', '"box"'), "there is no kind of camera 'box'. Choose one of gphoto2, folder."),
        (("0.25", "-1"), "rules.backlash: "),
    ],
)
def test_a_rig_that_cannot_be_is_told_by_the_key(
    anyzoom: Command, rig: Path, changed: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ends(rig, Ends(0, 40), "a motor")
    rig.write_text(RIG.replace(*changed), "utf-8")
    if "kind of camera" in said:
        monkeypatch.setattr("anyzoom.capture.setup.open_motor", lambda *_: Closed())
    done = anyzoom("capture", "run", "new", "--rig", rig)
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert said in done.err
    assert not Path("new").exists()


class Closed:
    """A motor that only closes."""

    name, ends = "a motor", None

    def close(self) -> None: ...


def test_a_port_that_is_not_there(anyzoom: Command, rig: Path) -> None:
    write_ends(rig, Ends(0, 40), "a motor")
    done = anyzoom("capture", "run", "new", "--rig", rig)
    assert done.code == 1
    assert "/dev/ttyNOWHERE" in done.err
    assert not Path("new").exists()


def test_damaged_ends_are_refused(anyzoom: Command, rig: Path) -> None:
    ends_file(rig).write_text('{"version": 1, "wide": NaN}', "utf-8")
    done = anyzoom("capture", "plan", "--rig", rig)
    assert done.code == 1
    assert "rig.ends.json does not tell where the lens ends. Show them again" in done.err


def test_a_simulated_run_of_a_picture(anyzoom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((1500, 1000), Image.Resampling.BICUBIC).save("world.png")
    done = anyzoom("capture", "run", "run", "--simulate", "--picture", "world.png", "--frames", 2, "--once")
    assert done.code == 0, done.err
    assert done.out == "run: 2 photographs. Next: anyzoom align run -o DATASET\n"
    assert {path.name for path in Path("run").iterdir()} == {
        "frame_000.jpg",
        "frame_001.jpg",
        "journal.jsonl",
        "scene.json",
    }
    done = anyzoom("capture", "resume", "run", "--simulate", "--picture", "world.png")
    assert (done.code, done.out.startswith("run: 2 photographs.")) == (0, True)


def test_ends_are_shown_by_typing(anyzoom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(["-3", "far", "wide", "1.5", "tele"])
    monkeypatch.setattr("typer.prompt", lambda _: next(words))
    done = anyzoom("capture", "ends", "--simulate")
    assert done.code == 0, done.err
    assert done.out == "wide -4, tele -2.5\n"
    assert "A number turns the ring by so much" in done.err
