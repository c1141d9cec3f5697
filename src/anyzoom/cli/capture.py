"""anyzoom capture"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anyzoom.cli.progress import progress_bar
from anyzoom.errors import AnyzoomError, CaptureError

if TYPE_CHECKING:
    from types import FrameType

    from anyzoom.capture.check import Rules
    from anyzoom.capture.journal import Line
    from anyzoom.capture.plan import Pace, Plan
    from anyzoom.capture.record import Outcome, Rig
    from anyzoom.capture.rig import Ends, Motor

app = typer.Typer(help="Zoom runs: a motor turns the zoom ring, a camera shoots.", no_args_is_help=True)


class Spacing(StrEnum):
    """Where the ring stops."""

    ring = "ring"
    magnification = "magnification"
    scales = "scales"


RigFile = Annotated[Path | None, typer.Option("--rig", metavar="FILE", help="rig.toml: motor, camera, rules.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="With a motor, a lens and a camera that do not exist.")]
Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="FILE", help="What the simulated camera sees; one is drawn without.")
]
Frames = Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Photographs from end to end.")]
Space = Annotated[Spacing, typer.Option(help="Equal steps of the ring, or of magnification, or the scales alone.")]
Scales = Annotated[str, typer.Option(metavar="FACTORS", help="For --spacing scales, separated by commas.")]
LensFile = Annotated[Path | None, typer.Option("--lens", metavar="FILE", help="lens.json of `anyzoom calibrate`.")]
Again = Annotated[
    bool, typer.Option("--again/--once", help="Begin with one more photograph of the long end, to tell what moved.")
]
Phone = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Serve a page there to start, watch and stop it; 127.0.0.1:0 takes a free port."
    ),
]
FOLDER = typer.Argument(metavar="FOLDER", help="Of the run.")


@app.command()
def plan(
    rig: RigFile = None,
    simulate: Simulate = False,
    frames: Frames = 60,
    spacing: Space = Spacing.ring,
    scales: Scales = "",
    lens: LensFile = None,
    again: Again = True,
) -> None:
    """Print where a run would stop, how long it would take and how much room; nothing moves."""
    ends, rules, pace = _told(rig, simulate)
    _print_plan(_planned(ends, rules, frames, spacing, scales, lens, again), rules, pace)


@app.command()
def run(
    folder: Annotated[Path, FOLDER],
    rig: RigFile = None,
    simulate: Simulate = False,
    picture: Picture = None,
    frames: Frames = 60,
    spacing: Space = Spacing.ring,
    scales: Scales = "",
    lens: LensFile = None,
    again: Again = True,
    phone: Phone = None,
) -> None:
    """Take a run into a new folder; `anyzoom align FOLDER` makes a dataset of it.

    For example: anyzoom capture run runs/museum --rig rig.toml --frames 60

    Ctrl-C stops the motor where it is; `anyzoom capture resume` goes on. The exit code is 1 when a run pauses.
    """
    ends, rules, pace = _told(rig, simulate)
    planned = _planned(ends, rules, frames, spacing, scales, lens, again)
    with _rig(rig, simulate, picture) as opened:
        _print_outcome(folder, _recorded(folder, planned, opened, rules, pace.shot_bytes, phone))


@app.command()
def resume(
    folder: Annotated[Path, FOLDER],
    rig: RigFile = None,
    simulate: Simulate = False,
    picture: Picture = None,
    phone: Phone = None,
) -> None:
    """Go on with a run that was paused or that ended in the middle.

    The last photograph is taken once more and compared: when anything has changed, you are asked.
    """
    _, rules, pace = _told(rig, simulate)
    with _rig(rig, simulate, picture) as opened:
        _print_outcome(folder, _recorded(folder, None, opened, rules, pace.shot_bytes, phone))


@app.command()
def jog(
    distance: Annotated[float, typer.Argument(metavar="DISTANCE", help="In the motor's unit; negative turns back.")],
    rig: RigFile = None,
    simulate: Simulate = False,
) -> None:
    """Turn the ring by so much, and print where it stands."""
    with _motor(rig, simulate) as motor, _stopping(motor):
        motor.jog(distance)
        print(f"{motor.where():g}")


@app.command()
def ends(rig: RigFile = None, simulate: Simulate = False) -> None:
    """Show where the lens ends: jog by typing distances, then type `wide` and `tele` where the ring stands there.

    They are written beside the rig.toml, and no run goes beyond them.
    """
    from anyzoom.capture.rig import Ends
    from anyzoom.capture.setup import write_ends

    found: dict[str, float] = {}
    with _motor(rig, simulate) as motor, _stopping(motor):
        motor.ends = None
        while len(found) < 2:
            missing = " and ".join(name for name in ("wide", "tele") if name not in found)
            word = typer.prompt(f"at {motor.where():g}; a distance, or {missing}").strip().lower()
            if word in ("wide", "tele"):
                found[word] = motor.where()
                continue
            try:
                motor.jog(float(word))
            except ValueError:
                print("A number turns the ring by so much; wide or tele says that it stands there.", file=sys.stderr)
            except CaptureError as error:
                print(f"anyzoom: {error}", file=sys.stderr)
        if found["wide"] == found["tele"]:
            raise CaptureError("both ends are at one position. Turn the ring between them.")
        told = Ends(found["wide"], found["tele"])
        if rig:
            print(write_ends(rig, told, motor.name))
        else:
            print(f"wide {told.wide:g}, tele {told.tele:g}")


@app.command()
def doctor(rig: RigFile = None) -> None:
    """List ports and cameras and what each answers, and what to check by hand. Nothing moves, nothing is shot."""
    from anyzoom.capture.camera import cameras
    from anyzoom.capture.motor import ports
    from anyzoom.capture.setup import read_ends, read_setup

    wrong = False
    print("Ports:")
    for port in ports():
        print(f"  {port.address}  {port.description}")
    print("Cameras:")
    try:
        for camera in cameras():
            print(f"  {camera.model} at {camera.port}{': ' + camera.problem if camera.problem else ''}")
            for name, value in camera.settings.items():
                print(f"    {name} = {value}")
            wrong |= camera.problem is not None
    except AnyzoomError as error:
        print(f"  {error}")
        wrong = True
    if rig:
        setup, shown = read_setup(rig), read_ends(rig)
        print(f"{rig}:")
        print(f"  ends: {f'wide {shown.wide:g}, tele {shown.tele:g}' if shown else 'not shown yet'}")
        try:
            opened = setup.open(shown)
            print(f"  motor: {opened.motor.name}")
            for warning in getattr(opened.motor, "warnings", ()):
                print(f"    {warning}")
            print(f"  camera: {opened.camera.name}")
            for name, value in opened.camera.settings().items():
                print(f"    {name} = {value}")
            opened.camera.close()
            opened.motor.close()
        except AnyzoomError as error:
            print(f"  {error}")
            wrong = True
    print(CHECKLIST)
    if wrong:
        raise typer.Exit(1)


CHECKLIST = """By hand:
  The camera is in manual mode, aperture, time, ISO and white balance fixed; stabiliser and corrections off.
  An aperture that the lens holds from end to end: f/8 on an f/3.5-6.3 zoom.
  Focus is manual, set at the long end; the tripod stands still, nothing in the view moves, the light is constant.
  The battery is full, the card is empty, the camera does not go to sleep.
  The belt is tight, the motor holds while it rests, the ring turns freely from end to end."""


def _told(rig: Path | None, simulate: bool) -> tuple[Ends, Rules, Pace]:
    """What is known without touching anything."""
    from anyzoom.capture.setup import read_ends, read_setup
    from anyzoom.capture.simulate.rig import ENDS, PACE, RULES

    if simulate:
        return ENDS, RULES, PACE
    path = _needed(rig)
    setup, ends = read_setup(path), read_ends(path)
    if ends is None:
        raise CaptureError(f"nobody has shown where the lens of {path} ends: anyzoom capture ends --rig {path}.")
    return ends, setup.rules, setup.pace


def _needed(rig: Path | None) -> Path:
    if rig is None:
        raise CaptureError("no rig is named. Add --rig rig.toml, or --simulate to try without one.")
    return rig


def _planned(
    ends: Ends, rules: Rules, frames: int, spacing: Spacing, scales: str, lens: Path | None, again: bool
) -> Plan:
    from anyzoom.calibrate.lens import read_lens
    from anyzoom.capture.plan import plan_run

    try:
        wanted = [float(part) for part in scales.split(",")] if scales else []
    except ValueError as error:
        raise CaptureError(f"{scales!r} are no scales. Write numbers such as 4,3,2.") from error
    profile = read_lens(lens) if lens else None
    room = rules.backlash if ends.tele > ends.wide else -rules.backlash
    inside = ends._replace(wide=ends.wide + room)  # the first stop is come to from before it
    return plan_run(inside, frames, spacing=spacing.value, scales=wanted, lens=profile, again=again)


def _print_plan(planned: Plan, rules: Rules, pace: Pace) -> None:
    from anyzoom.capture.plan import Estimate

    for number, stop in enumerate(planned.stops):
        print(f"{number:4d}  position {stop.position:10.4f}" + (f"  x{stop.scale:.4f}" if stop.scale else ""))
    estimate = Estimate.of(planned, pace, planned.stops[0].position, rules.backlash)
    again = ", one of them the long end once more" if planned.again else ""
    size = f"{estimate.bytes / 1e9:.1f} GB" if estimate.bytes >= 1e9 else f"{estimate.bytes / 1e6:.0f} MB"
    print(f"{planned.shots} photographs{again}: about {estimate.seconds / 60:.0f} min, {size}")


@contextmanager
def _rig(rig: Path | None, simulate: bool, picture: Path | None) -> Iterator[Rig]:
    from anyzoom.capture.setup import read_ends, read_setup
    from anyzoom.capture.simulate.rig import simulated_rig

    if simulate:
        with simulated_rig(picture) as made:
            yield made
        return
    path = _needed(rig)
    opened = read_setup(path).open(read_ends(path), Terminal())
    try:
        yield opened
    finally:
        opened.camera.close()
        opened.motor.close()


@contextmanager
def _motor(rig: Path | None, simulate: bool) -> Iterator[Motor]:
    """The motor alone, counting from its switch, or from where it stands."""
    from anyzoom.capture.setup import read_ends, read_setup
    from anyzoom.capture.simulate.rig import simulated_bench

    if simulate:
        with simulated_bench() as bench:
            bench.motor.reference()
            yield bench.motor
        return
    path = _needed(rig)
    motor = read_setup(path).open_motor()
    try:
        motor.ends = read_ends(path)
        if not motor.reference() and not motor.counts:
            motor.declare(0.0)
            motor.ends = None
        yield motor
    finally:
        motor.close()


def _recorded(
    folder: Path, planned: Plan | None, rig: Rig, rules: Rules, shot_bytes: int, phone: str | None
) -> Outcome:
    from anyzoom.capture.record import Outcome, record

    if phone is None:
        with _progress(planned.shots if planned else None) as told, _stopping(rig.motor) as stops:
            return record(folder, planned, rig, rules, shot_bytes=shot_bytes, told=told, stops=stops)
    from anyzoom.capture.phone import Director
    from anyzoom.capture.phone.server import listen, new_token, serve

    host, colon, port = phone.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise CaptureError(f"{phone!r} is no address for the page. Write HOST:PORT, such as 127.0.0.1:8010.")
    director = Director(folder, planned, rig, rules, shot_bytes=shot_bytes)
    with listen(host.strip("[]"), int(port)) as listener:
        token = new_token()
        print(f"http://{host}:{listener.getsockname()[1]}/{token}/", flush=True)
        status = serve(director, token, listener)
    return Outcome("done" if status.state == "done" else "paused", status.kept, status.wanted, status.reason)


class Terminal:
    """Whoever sits there."""

    def agrees(self, question: str) -> bool:
        return sys.stdin.isatty() and typer.confirm(question)


class _Stop:
    """Whether Ctrl-C was pressed."""

    def __init__(self, motor: Motor) -> None:
        self.motor, self.asked = motor, False

    def __call__(self) -> bool:
        return self.asked

    def ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
        self.motor.stop()


@contextmanager
def _stopping(motor: Motor) -> Iterator[_Stop]:
    stop = _Stop(motor)
    before = {kind: signal.signal(kind, stop.ask) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


class _Told:
    """Shows what the journal says."""

    def __init__(self, bar: Any, shots: int | None) -> None:
        self.bar = bar
        self.task = bar.add_task("run", total=shots) if bar else None

    def __call__(self, line: Line) -> None:
        if line.event in ("rejected", "resumed") and line.reason:
            print(f"anyzoom: frame {line.frame}: {line.reason}", file=sys.stderr)
        if self.bar:
            self.bar.update(self.task, description=line.event, advance=line.event == "kept")


@contextmanager
def _progress(shots: int | None) -> Iterator[_Told]:
    with progress_bar() as bar:
        yield _Told(bar, shots)


def _print_outcome(folder: Path, outcome: Outcome) -> None:
    if outcome.state == "done":
        print(f"{folder}: {outcome.kept} photographs. Next: anyzoom align {folder} -o DATASET")
        return
    print(f"anyzoom: {outcome.reason}", file=sys.stderr)
    print(f"{folder}: paused with {outcome.kept} of {outcome.wanted} photographs. anyzoom capture resume goes on.")
    raise typer.Exit(1)
