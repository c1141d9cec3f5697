"""The driver against the simulated board; time is virtual."""

from __future__ import annotations

import math
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anyzoom.capture.motor import GrblMotor, GrblSettings
from anyzoom.capture.rig import Ends
from anyzoom.capture.simulate.board import Flavour
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.controller import SimulatedController
from anyzoom.capture.simulate.terminal import Terminal
from anyzoom.errors import MotorError, Stopped

pytest.importorskip("serial")
ENDS = Ends(0.0, 40.0)
HOMED = {22: 1.0, 20: 1.0, 130: 50.0, 1: 255.0}
HALF_STEP = 0.002


@contextmanager
def rig(
    flavour: Flavour = "Grbl", board: dict[int, float] | None = None, ends: Ends | None = ENDS, **options: object
) -> Iterator[tuple[SimulatedController, GrblMotor, VirtualClock]]:
    clock = VirtualClock()
    with SimulatedController(clock, flavour, board, **options) as controller:  # type: ignore[arg-type]
        motor = GrblMotor(controller.port, clock=clock)
        motor.ends = ends
        try:
            yield controller, motor, clock
        finally:
            motor.close()
        assert controller.written == []  # the board's settings are the user's


FLAVOURS: list[Flavour] = ["Grbl", "grblHAL"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_moves_and_jogs(flavour: Flavour) -> None:
    with rig(flavour) as (controller, motor, clock):
        began = clock.now()
        motor.move(10.0)
        assert 1.0 < clock.now() - began < 1.6  # 10 mm at 600 mm a minute, and the last poll
        assert motor.where() == pytest.approx(10.0, abs=HALF_STEP)
        motor.jog(-2.5)
        assert controller.position == pytest.approx(7.5, abs=HALF_STEP)
        motor.move(7.5)
        assert controller.state == "Idle"
        assert controller.received == [
            "$I",
            "$$",
            "G53 G21 G90 G94 G1 X10.0000 F600",
            "$J=G53 G21 G90 X7.5000 F600",
            "G53 G21 G90 G94 G1 X7.5000 F600",
        ]
        assert ("1.1h" if flavour == "Grbl" else "grblHAL 1.1f") in motor.name


def test_work_offset_and_inches_make_no_difference() -> None:
    with rig(board={10: 0.0, 13: 1.0}, offset=25.0) as (controller, motor, _):
        motor.move(12.7)
        assert motor.where() == pytest.approx(12.7, abs=2 * HALF_STEP)
        assert controller.position == pytest.approx(12.7, abs=HALF_STEP)


def test_a_board_that_does_not_restart_keeps_its_count() -> None:
    clock = VirtualClock()
    with SimulatedController(clock, resets_on_opening=False) as controller:
        first = GrblMotor(controller.port, clock=clock)
        first.ends = ENDS
        assert not first.restarted
        first.move(5.0)
        first.close()
        second = GrblMotor(controller.port, clock=clock)
        assert second.where() == pytest.approx(5.0, abs=HALF_STEP)
        second.close()


def test_left_moving_by_another_program() -> None:
    clock = VirtualClock()
    with SimulatedController(clock, resets_on_opening=False) as controller:
        controller._g_code("G1X30F100")  # it was killed after sending this
        motor = GrblMotor(controller.port, clock=clock)
        assert controller.state == "Idle"
        assert 1.0 < motor.where() < 15.0
        assert motor.where() == pytest.approx(controller.position, abs=HALF_STEP)
        motor.close()


def test_first_start_on_empty_memory() -> None:
    with rig(empty_memory=True) as (_, motor, _clock):
        assert motor.where() == 0.0


def test_ends_are_checked_before_anything_is_sent() -> None:
    with rig() as (controller, motor, _):
        sent = len(controller.received)
        for act in (partial(motor.move, 40.001), partial(motor.move, math.nan), partial(motor.jog, -0.001)):
            with pytest.raises(MotorError, match="outside of the lens's ends, 0 to 40"):
                act()
        with pytest.raises(MotorError, match="leads nowhere"):
            motor.jog(math.inf)
        motor.ends = None
        with pytest.raises(MotorError, match="nobody has told where the lens ends"):
            motor.move(1.0)
        assert len(controller.received) == sent


def test_rounds_to_within_the_ends() -> None:
    with rig(ends=Ends(0.00004, 10.00006)) as (controller, motor, _):
        motor.move(10.00006)
        motor.move(0.00004)
        assert [line.split()[5] for line in controller.received[2:]] == ["X10.0000", "X0.0001"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_homes(flavour: Flavour) -> None:
    with rig(flavour, HOMED, Ends(-40.0, -1.0), switch=3.0) as (controller, motor, _):
        with pytest.raises(MotorError, match=r"does not know where it stands\. Home it"):
            motor.where()
        with pytest.raises(MotorError, match="does not know where it stands"):
            motor.move(-3.0)
        assert motor.reference()
        assert motor.where() == -1.0  # the pull-off
        assert controller.position == pytest.approx(2.0)
        motor.move(-40.0)
        assert controller.position == pytest.approx(-37.0, abs=HALF_STEP)
        assert motor.warnings == ()


def test_no_switch_to_home_to() -> None:
    with rig() as (_, motor, _clock):
        assert not motor.reference()
    with rig(board=HOMED) as (_, motor, _clock):
        with pytest.raises(MotorError, match="ALARM:9: homing found no limit switch"):
            motor.reference()
        with pytest.raises(MotorError, match="does not know"):
            motor.where()
        motor.declare(4.0)
        motor.ends = None
        assert motor.where() == 4.0


def test_stopped_while_homing() -> None:
    with rig(board=HOMED, switch=30.0) as (controller, motor, _):
        controller.later(1.0, motor.stop)
        with pytest.raises(Stopped, match="lost count"):
            motor.reference()
        assert motor.reference()


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("how", ["move", "jog"])
def test_stop_keeps_the_count(flavour: Flavour, how: str) -> None:
    with rig(flavour, brake_s=0.9) as (controller, motor, _):  # longer than a poll: a reset before its end loses count
        controller.later(1.5, motor.stop)  # in the thread that moves, as from a signal handler
        with pytest.raises(Stopped, match="was stopped at"):
            getattr(motor, how)(30.0)
        here = motor.where()
        assert 10.0 < here < 20.0
        assert controller.position == pytest.approx(here, abs=HALF_STEP)
        motor.move(20.0)
        assert controller.position == pytest.approx(20.0, abs=HALF_STEP)


def test_stop_from_another_thread() -> None:
    with rig() as (controller, motor, _):

        def press() -> None:
            while controller.state != "Run":
                pass
            motor.stop()

        thread = threading.Thread(target=press)
        thread.start()
        motor.settings = motor.settings.model_copy(update={"feed": 20.0})  # two minutes
        with pytest.raises(Stopped):
            motor.move(40.0)
        thread.join()
        assert motor.where() == pytest.approx(controller.position, abs=HALF_STEP)
        motor.move(1.0)


def test_stop_means_nothing_when_nothing_moves() -> None:
    with rig() as (_, motor, _clock):
        motor.stop()
        motor.move(3.0)
        motor.stop()
        motor.move(4.0)


def test_ctrl_c_brings_it_to_rest() -> None:
    with rig() as (controller, motor, clock):

        def interrupt() -> None:
            if controller.position > 10.0:
                clock.unwatch(interrupt)
                raise KeyboardInterrupt

        clock.watch(interrupt)
        with pytest.raises(KeyboardInterrupt):
            motor.move(40.0)
        assert controller.state == "Idle"
        assert 10.0 < motor.where() < 15.0
        assert motor.where() == pytest.approx(controller.position, abs=HALF_STEP)
        motor.move(40.0)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_soft_limit(flavour: Flavour) -> None:
    with rig(flavour, HOMED, Ends(-100.0, -1.0), switch=0.0) as (controller, motor, _):
        motor.reference()
        assert "$130=50 is less than the ends" in motor.warnings[0]
        with pytest.raises(MotorError, match=r"ALARM:2: the target lies beyond the board's soft limits\. Check"):
            motor.move(-60.0)
        assert motor.where() == -1.0  # unlocked, since it has kept its count
        with pytest.raises(MotorError, match="error:15, the jog would leave the board's soft limits"):
            motor.jog(-60.0)
        motor.move(-2.0)
        assert controller.position == pytest.approx(-2.0, abs=HALF_STEP)


@pytest.mark.parametrize(("code", "says"), [(1, "a limit switch was hit"), (3, "it was reset while it moved")])
def test_alarm_in_mid_move(code: int, says: str) -> None:
    with rig() as (controller, motor, _):
        controller.later(1.0, lambda: controller.alarm(code))
        with pytest.raises(MotorError, match=f"ALARM:{code}: {says}"):
            motor.move(30.0)
        for act in (motor.where, partial(motor.move, 1.0), partial(motor.jog, 1.0)):
            with pytest.raises(MotorError, match=r"does not know where it stands\. Show where"):
                act()
        assert controller.state == "Alarm"  # still locked
        motor.declare(controller.position)
        motor.move(20.0)
        assert controller.position == pytest.approx(20.0, abs=2 * HALF_STEP)


def test_restarts_by_itself() -> None:
    with rig() as (controller, motor, _):
        controller.later(1.0, controller.restart)
        with pytest.raises(MotorError, match="has restarted by itself and lost count"):
            motor.move(30.0)
        motor.declare(controller.position)
        motor.move(2.0)
        assert controller.position == pytest.approx(2.0, abs=2 * HALF_STEP)


def test_restarts_unheard() -> None:
    with rig() as (controller, motor, clock):
        motor.move(30.0)
        controller.silence(1.0)
        controller.restart()
        clock.sleep(2.0)
        with pytest.raises(MotorError, match=r"says 0.000, and stood at 30.000: it has restarted unheard"):
            motor.move(20.0)  # which would have gone to 50
        with pytest.raises(MotorError, match="does not know where it stands"):
            motor.where()
        assert controller.highest == 30.0


def test_vanishes_and_returns() -> None:
    with rig() as (controller, motor, clock):
        controller.later(1.0, controller.vanish)
        with pytest.raises(MotorError, match="has vanished"):
            motor.move(30.0)
        with pytest.raises(MotorError, match="has vanished"):
            motor.where()
        motor.close()
        with pytest.raises(MotorError, match="there is no port"):
            GrblMotor(controller.port, clock=clock)
        controller.come_back()
        again = GrblMotor(controller.port, clock=clock)
        again.ends = ENDS
        assert again.restarted
        again.declare(controller.position)
        again.move(12.0)
        assert controller.position == pytest.approx(12.0, abs=2 * HALF_STEP)
        again.close()


def test_hangs_and_recovers() -> None:
    with rig() as (controller, motor, _):
        controller.later(0.5, lambda: controller.silence(30.0))
        with pytest.raises(MotorError, match=r"has not answered . for 5 seconds"):
            motor.move(30.0)
        with pytest.raises(MotorError, match="has not answered"):
            motor.declare(1.0)
        controller.silence(0.0)
        with pytest.raises(MotorError, match="does not know where it stands"):
            motor.where()  # it may have restarted meanwhile
        assert controller.position == 30.0  # nobody could tell it to halt
        motor.declare(30.0)
        motor.move(10.0)
        assert controller.position == pytest.approx(10.0, abs=HALF_STEP)


def test_noise_and_late_words_are_not_taken_for_answers() -> None:
    with rig() as (controller, motor, _):
        controller.say(b"ok\r\n\xf0\xff\x00<Idle|MP\r\n[MSG:Pgm End]\r\nerror:2\r\n")
        motor.move(5.0)
        controller.later(0.5, lambda: controller.say(b"\xf0\xff\r\n"))
        motor.move(20.0)
        assert controller.position == pytest.approx(20.0, abs=HALF_STEP)


def test_somebody_presses_hold() -> None:
    with rig() as (controller, motor, _):
        controller.later(1.0, controller.hold)
        with pytest.raises(MotorError, match="is held"):
            motor.move(30.0)
        motor.move(20.0)
        assert controller.position == pytest.approx(20.0, abs=HALF_STEP)


def test_axis_that_the_board_lacks() -> None:
    clock = VirtualClock()
    with (
        SimulatedController(clock) as controller,
        pytest.raises(MotorError, match=r"reports no position of an axis A\. Choose another axis"),
    ):
        GrblMotor(controller.port, GrblSettings(axis="A"), clock)


def test_warnings() -> None:
    with rig(board={110: 300.0, 100: 5.0}) as (_, motor, _clock):
        said = " ".join(motor.warnings)
        assert "$1=25 lets go" in said
        assert "$22=0: nothing homes" in said
        assert "$110=300 is slower than the feed of 600" in said
        assert "$100=5 makes steps of 0.2" in said
        motor.move(1.0)
    with rig(board={22: 1.0}, switch=0.0) as (_, motor, _clock):
        assert any("$20=0" in one for one in motor.warnings)


@contextmanager
def foreign(answer: Callable[[bytes], bytes]) -> Iterator[tuple[str, VirtualClock]]:
    """A device that answers whatever comes by something of its own."""
    terminal, clock = Terminal(), VirtualClock()

    def act() -> None:
        if data := terminal.read():
            terminal.write(answer(data))

    clock.watch(act)
    try:
        yield terminal.path, clock
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "answers nothing at 115200 baud. Is the board powered"),
        (b"\xf8\x00\xe6\x80\x1e\x06\x9e\xf8", r"answers no text at 115200 baud, but '\\ufffd.*115200 baud"),
        (b"echo:Marlin 2.1.2\n", "answers 'echo:Marlin 2.1.2', which is no Grbl 1.1"),
        (
            b"\r\nGrbl 0.9j ['$' for help]\r\nok\r\n<Idle,MPos:0.000>\r\n",
            "has Grbl 0.9j. Load Grbl 1.1",
        ),
    ],
)
def test_no_grbl(answer: bytes, says: str) -> None:
    with foreign(lambda _: answer) as (address, clock), pytest.raises(MotorError, match=says):
        GrblMotor(address, clock=clock)


def test_on_the_network() -> None:
    """A board with Wi-Fi, whose port is relayed by TCP."""
    clock = VirtualClock()
    with SimulatedController(clock, resets_on_opening=False) as controller:
        server = socket.create_server(("127.0.0.1", 0))

        def relay() -> None:
            board = os.open(controller.port, os.O_RDWR | os.O_NOCTTY)
            link, _ = server.accept()
            while True:
                both: list[int | socket.socket] = [board, link]
                ready, _, _ = select.select(both, [], [])
                data = os.read(board, 999) if board in ready else link.recv(999)
                if not data:
                    break
                link.sendall(data) if board in ready else os.write(board, data)
            link.close()
            os.close(board)

        thread = threading.Thread(target=relay)
        thread.start()
        motor = GrblMotor(f"socket://127.0.0.1:{server.getsockname()[1]}", clock=clock)
        motor.ends = ENDS
        motor.move(5.0)
        assert controller.position == pytest.approx(5.0, abs=HALF_STEP)
        motor.close()
        thread.join()
        server.close()


number = st.floats(0.0, 40.0) | st.floats(-60.0, 100.0) | st.sampled_from([0.0, 40.0, math.nan, math.inf])
commands = st.tuples(
    st.sampled_from(["move", "jog"]),
    number,
    st.sampled_from(
        ["", "", "stop", "alarm 1", "alarm 2", "alarm 3", "vanish", "restart", "unheard", "silence", "noise", "hold"]
    ),
    st.floats(0.0, 4.0),
)


def never_leaves_its_ends(steps: list[tuple[str, float, str, float]]) -> None:
    with rig() as (controller, first, clock):
        motor = first
        faults: dict[str, Callable[[], object]] = {
            "alarm 1": lambda: controller.alarm(1),
            "alarm 2": lambda: controller.alarm(2),
            "alarm 3": lambda: controller.alarm(3),
            "vanish": controller.vanish,
            "restart": controller.restart,
            "unheard": lambda: None,
            "silence": lambda: controller.silence(7.0),
            "noise": lambda: controller.say(b"ok\r\n\xff<Idle|MPos:99.0>\r\nerror:1\r\n"),
            "hold": controller.hold,
        }
        for how, value, fault, after in steps:
            if fault:
                controller.later(after, {**faults, "stop": motor.stop}[fault])
            with suppress(MotorError, Stopped):
                getattr(motor, how)(value)
            clock.sleep(8.0)
            controller.come_back()
            if fault == "unheard":  # at rest: in motion nothing could tell a restart from an early arrival at 0
                controller.silence(0.1)
                controller.restart()
                clock.sleep(1.0)
            try:
                known = motor.where()
            except MotorError:
                motor.close()
                motor = GrblMotor(controller.port, clock=clock)
                motor.declare(controller.position)  # as an operator would
                motor.ends = ENDS
                known = motor.where()
            assert known == pytest.approx(controller.position, abs=HALF_STEP + 0.001)
            assert controller.lowest >= ENDS.wide - HALF_STEP - 0.001
            assert controller.highest <= ENDS.tele + HALF_STEP + 0.001
        motor.close()


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@example([("move", 70.0, "", 0.0), ("jog", -50.0, "", 0.0)])
@given(st.lists(commands, min_size=1, max_size=5))
def test_never_leaves_its_ends(steps: list[tuple[str, float, str, float]]) -> None:
    never_leaves_its_ends(steps)


@pytest.mark.campaign
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(commands, min_size=1, max_size=8))
def test_never_leaves_its_ends_for_long(steps: list[tuple[str, float, str, float]]) -> None:
    never_leaves_its_ends(steps)
