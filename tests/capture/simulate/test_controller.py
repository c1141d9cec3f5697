"""The simulated board, byte for byte, and as a client sees it that others have written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from anyzoom.capture.rig import WallClock
from anyzoom.capture.simulate.board import DEFAULTS, Flavour
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.controller import SimulatedController

serial = pytest.importorskip("serial")
BANNER = b"\r\nGrbl 1.1h ['$' for help]\r\n"
STATUS = b"<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>\r\n"
LIMITED = {22: 1.0, 20: 1.0, 130: 50.0}
Talk = Callable[..., bytes]


class Line:
    """A serial monitor on a simulated board."""

    def __init__(self, flavour: Flavour = "Grbl", settings: dict[int, float] | None = None, **options: object) -> None:
        self.clock = VirtualClock()
        self.board = SimulatedController(self.clock, flavour, settings, **options)  # type: ignore[arg-type]
        self.port = serial.Serial(self.board.port, 115200, timeout=0.02, exclusive=True)
        self.board.settle()
        self.greeting = self.heard(2.0)

    def heard(self, seconds: float = 0.0) -> bytes:
        self.clock.sleep(seconds)
        data: bytes = self.port.read(4096)
        return data

    def __call__(self, said: bytes, seconds: float = 0.0) -> bytes:
        self.port.write(said)
        time.sleep(0.003)  # the kernel carries it to the board
        return self.heard(seconds)

    def close(self) -> None:
        self.port.close()
        self.board.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def limited() -> Iterator[Line]:
    made = Line(settings=LIMITED, switch=0.0)
    yield made
    made.close()


def test_answers_byte_for_byte(line: Line) -> None:
    assert line.greeting == BANNER
    assert line(b"?") == STATUS
    assert line(b"?") == b"<Idle|MPos:0.000,0.000,0.000|FS:0,0|Ov:100,100,100>\r\n"
    assert line(b"?") == b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n"
    assert line(b"\n") == b"ok\r\n"
    assert line(b"$I\n") == b"[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\nok\r\n"
    assert line(b"$G\n") == b"[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]\r\nok\r\n"
    assert line(b"$N\n") == b"$N0=\r\n$N1=\r\nok\r\n"
    settings = line(b"$$\n")
    assert settings.startswith(b"$0=10\r\n$1=25\r\n")
    assert settings.endswith(b"$130=200.000\r\n$131=200.000\r\n$132=200.000\r\nok\r\n")
    assert settings.count(b"\r\n") == len(DEFAULTS) + 1
    offsets = line(b"$#\n")
    assert offsets.startswith(b"[G54:0.000,0.000,0.000]\r\n")
    assert offsets.endswith(b"[TLO:0.000]\r\n[PRB:0.000,0.000,0.000:0]\r\nok\r\n")
    assert line(b"$X\n") == b"ok\r\n"
    assert line(b"$C\n") == b"[MSG:Enabled]\r\nok\r\n"
    assert line(b"G1X10F600\n", 1.0) == b"ok\r\n"
    assert line(b"$C\n") == b"[MSG:Disabled]\r\nok\r\n" + BANNER
    assert line.board.position == 0.0


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"X10 G1", 22), (b"G1 F600", 0), (b"5", 1), (b"GX", 2), (b"$Q", 3), (b"$100=-1", 4), (b"$H", 5),
        (b"$20=1", 10), (b"G1" + b" X1" * 40, 11), (b"$J=G91 X5 F300 M3", 16), (b"G3 X1", 20), (b"M3", 20),
        (b"G20 G21", 21), (b"$J=X5", 22), (b"X1 X2 F9", 25), (b"G53", 26), (b"$J=F9", 26), (b"G4", 28),
        (b"G4 P0 X1", 31), (b"G90 S5", 36),
    ],
)  # fmt: skip
def test_refuses(line: Line, said: bytes, code: int) -> None:
    assert line(said + b"\n") == (b"error:%d\r\n" % code if code else b"ok\r\n")
    assert line.board.position == 0.0


def test_ok_is_no_arrival(line: Line) -> None:
    assert line(b"G1 X10 F600\n?") == b"ok\r\n" + STATUS  # and it does not say Run yet
    assert line(b"?", 0.51).startswith(b"<Idle")
    assert line(b"?").startswith(b"<Run|MPos:5.000,0.000,0.000|FS:600,0")
    assert line.board.position == pytest.approx(5.0)
    assert line(b"$$\n") == b"error:8\r\n"
    assert line(b"G4 P0.01\n", 0.4) == b""
    assert line.heard(0.2) == b"ok\r\n"
    assert line(b"?").startswith(b"<Idle|MPos:10.000")
    assert (line.board.lowest, line.board.highest) == (0.0, 10.0)


def test_hold_resume_and_reset_at_rest(line: Line) -> None:
    line(b"G1 X10 F600\n", 0.51)
    assert line(b"!?").startswith(b"<Hold:1|MPos:5.000")
    assert line(b"", 0.2) == b""
    assert line(b"?").startswith(b"<Hold:0|MPos:5.500")
    assert line(b"G1 X0\n") == b""  # nothing is read while it is held
    assert line(b"~", 5.0) == b"ok\r\n"
    assert line.board.position == 0.0
    line(b"G1 X10 F600\n", 0.51)
    line(b"!", 0.2)
    assert line(b"\x18") == BANNER
    assert line(b"?").startswith(b"<Idle|MPos:5.500")
    assert line.board.position == pytest.approx(5.5)


def test_reset_in_motion_loses_count(line: Line) -> None:
    line(b"G1 X10 F600\n", 0.51)
    assert line(b"\x18") == b"ALARM:3\r\n" + BANNER + b"[MSG:'$H'|'$X' to unlock]\r\n"
    assert line(b"?").startswith(b"<Alarm|MPos:5.000")
    assert line.board.position == pytest.approx(4.75)
    assert line(b"G1X0\n") == b"error:9\r\n"
    assert line(b"$J=X0F9\n") == b"error:8\r\n"
    assert line(b"$X\n") == b"[MSG:Caution: Unlocked]\r\nok\r\n"


def test_reset_while_a_line_waits(line: Line) -> None:
    line(b"G1 X10 F600\nG4 P1\n", 0.51)
    line(b"!", 0.2)
    assert line(b"\x18") == b"ok\r\n" + BANNER


def test_jog_and_its_cancel(line: Line) -> None:
    assert line(b"$J=G91 G21 X5 F300\n?").startswith(b"ok\r\n<Jog|")
    assert line(b"G1 X1 F9\n") == b"error:9\r\n"
    line.clock.sleep(0.5)
    assert line(b"\x85", 0.2) == b""
    assert line(b"?").startswith(b"<Idle|MPos:2.750")
    assert line(b"\x85") == b""


def test_soft_limit(limited: Line) -> None:
    assert limited.greeting == BANNER + b"[MSG:'$H'|'$X' to unlock]\r\n"
    assert limited(b"G1X-1F9\n") == b"error:9\r\n"
    assert limited(b"$H\n?", 0.5) == b""  # deaf while it homes
    assert limited.heard(20.0) == b"ok\r\n"
    assert limited(b"?").startswith(b"<Idle|MPos:-1.000,-1.000,-1.000")
    assert limited(b"$J=X5F100\n") == b"error:15\r\n"
    assert limited(b"G1 X5 F600\n") == b"ALARM:2\r\n[MSG:Reset to continue]\r\n"
    assert limited(b"?") == b""
    assert limited(b"\x18") == b"ok\r\n" + BANNER + b"[MSG:'$H'|'$X' to unlock]\r\n"
    assert limited(b"$X\n") == b"[MSG:Caution: Unlocked]\r\nok\r\n"
    assert limited(b"?").startswith(b"<Idle|MPos:-1.000")
    assert limited.board.position == -1.0


def test_homing_fails_without_a_switch() -> None:
    line = Line(settings=LIMITED)
    assert line(b"$H\n", 8.0) == b""
    assert line.heard(2.0) == b"ALARM:9\r\nok\r\n" + BANNER + b"[MSG:'$H'|'$X' to unlock]\r\n"
    line(b"$H\n", 1.0)
    assert line(b"\x18").startswith(b"ALARM:6\r\nok\r\n" + BANNER)
    line.close()


def test_memory_outlives_a_restart() -> None:
    line = Line(empty_memory=True)
    assert line.greeting.startswith(b"error:7\r\n$0=10\r\n")
    assert line.greeting.endswith(BANNER)
    assert line(b"$1=255\n") == b"ok\r\n"
    assert line.board.written == ["$1=255"]
    line(b"G92 X7\n")
    line.board.restart()
    assert line.heard() == BANNER
    assert b"$1=255\r\n" in line(b"$$\n")
    assert line(b"?") == STATUS
    line.close()


def test_work_offset() -> None:
    line = Line(settings={10: 0.0}, offset=25.0)
    assert line(b"?") == b"<Idle|WPos:-25.000,0.000,0.000|FS:0,0|WCO:25.000,0.000,0.000>\r\n"
    line(b"G1 X-24 F600\n", 1.0)
    assert line.board.position == 1.0
    line(b"G92 X0\n")
    assert line(b"?") == b"<Idle|WPos:0.000,0.000,0.000|FS:0,0|WCO:1.000,0.000,0.000>\r\n"
    line(b"G53 G1 X3\n", 1.0)
    assert line.board.position == 3.0
    line(b"G20 G91 G1 X1\n", 5.0)
    assert line.board.position == pytest.approx(28.4)
    line.close()


def test_grblhal() -> None:
    line = Line("grblHAL", LIMITED)
    assert line.greeting.startswith(b"\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n")
    expected = b"<Alarm|MPos:0.000,0.000,0.000|Bf:35,1023|FS:0,0|WCO:0.000,0.000,0.000|H:0|TLR:0|A:>\r\n"
    assert line(b"?") == expected
    line(b"$X\n")
    assert line(b"G1 X5 F600\n", 1.0) == b"ok\r\n"  # soft limits count once it was homed
    assert line.board.position == 5.0
    line.close()


def test_faults(line: Line) -> None:
    line.board.say(b"\xff\xfe")
    assert line.heard() == b"\xff\xfe"
    line.board.silence(1.0)
    assert line(b"?") == b""
    line.clock.sleep(1.1)
    assert line(b"?").startswith(b"<Idle")
    line.board.later(0.5, lambda: line.board.alarm(1))
    assert line(b"G1 X10 F600\n", 1.0) == b"ok\r\nALARM:1\r\n[MSG:Reset to continue]\r\n"
    assert line.board.position == pytest.approx(4.65, abs=0.02)
    assert line(b"?") == b""
    line.board.vanish()
    with pytest.raises(serial.SerialException):
        line.port.read(1)


def test_clock() -> None:
    clock, seen = VirtualClock(), list[float]()
    clock.watch(lambda: seen.append(clock.now()))
    clock.sleep(1.5)
    clock.sleep(-1.0)
    before = clock.today()
    clock.jump(-3600.0)
    assert seen == [1.5, 1.5]
    assert clock.now() == 1.5
    assert (before - clock.today()).total_seconds() == 3600.0


@pytest.mark.parametrize("flavour", ["Grbl", "grblHAL"])
def test_drives_with_grbl_link(flavour: Flavour, capsys: pytest.CaptureFixture[str]) -> None:
    """A client from the package index that knows nothing of us."""
    interface = pytest.importorskip("grbl_link.interface")
    with SimulatedController(WallClock(), flavour, boot_s=0.05) as board:
        port = serial.Serial(board.port, 115200, timeout=0.2)
        client = interface.Grbl(port)

        def becomes(true: Callable[[], bool]) -> None:
            give_up = time.monotonic() + 5.0
            while not true():
                assert time.monotonic() < give_up
                time.sleep(0.01)

        def stands_at(x: float) -> bool:
            client.query_status()
            time.sleep(0.03)
            return bool(client.status["mode"] == "Idle" and client.status["MPos"][0] == x)

        becomes(lambda: client.version == ("1.1h" if flavour == "Grbl" else "1.1f"))
        client.query_settings()
        becomes(lambda: client.state.settings.get("132") == "200.000")
        client.jog(1200, x=2.0)
        becomes(lambda: stands_at(2.0))
        assert board.position == 2.0
        client.send("G1 X0.5 F1200")
        becomes(lambda: stands_at(0.5))
        client.send("G1 X50 F600")
        time.sleep(0.1)
        client.soft_reset()
        becomes(lambda: client.alarm_state == "3")
        client.unlock()
        client.send("G1 X0 F1200")
        becomes(lambda: stands_at(0.0))
        client.stop()
        port.close()
    assert "Exception" not in capsys.readouterr().out
