"""The line protocol, against the sketch itself: compiled for this computer where there is a C++ compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anyzoom.capture.motor import ArduinoMotor, ArduinoSettings
from anyzoom.capture.motor.arduino import GREETING, opened, sealed
from anyzoom.capture.rig import Ends
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.terminal import Terminal
from anyzoom.errors import MotorError, Stopped

pytest.importorskip("serial")
SKETCH = Path(__file__).parents[3] / "docs" / "arduino" / "zoom_ring.ino"
FAST = ArduinoSettings(steps_per_unit=100.0, steps_per_s=4000, boot_s=0.3, answer_s=0.3)
COMPUTER = """
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
typedef unsigned char byte;
enum { LOW, HIGH, OUTPUT };
static void pinMode(int, int) {}
static void digitalWrite(int, int) {}
static unsigned long micros() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}
static void delayMicroseconds(int) {}
struct Port {
  int next = -1, count = 0, every = getenv("GARBLE") ? atoi(getenv("GARBLE")) : 0;
  void begin(long) { fcntl(0, F_SETFL, O_NONBLOCK); }
  bool available() { unsigned char c; if (next < 0 && ::read(0, &c, 1) == 1) next = c; return next >= 0; }
  char read() { char c = next; next = -1; return garbled(c); }
  void print(const char *s) { while (*s) print(*s++); }
  void print(char c) { c = garbled(c); if (::write(1, &c, 1) < 0) exit(0); }
  char garbled(char c) { return every && ++count % every == 0 ? c ^ 4 : c; }
} Serial;
#include "zoom_ring.ino"
int main() { setup(); for (;;) { loop(); usleep(50); } }
"""


def test_lines_with_their_checksum() -> None:
    assert sealed("where") == b"where*6d\n"
    assert sealed("step -120 400") == b"step -120 400*38\n"
    assert opened("at 12 still*78") == "at 12 still"
    for garbled in ("at 13 still*78", "at 12 still*05", "at 12 still", "", "*", "\ufffd*04"):
        assert opened(garbled) is None


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler to run the sketch with")
    folder = tmp_path_factory.mktemp("sketch")
    (folder / "computer.cpp").write_text(COMPUTER)
    command = [compiler, "-Wall", "-Wno-sign-compare", f"-I{SKETCH.parent}", "computer.cpp", "-o", "sketch"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return folder / "sketch"


Board = Callable[..., str]


@pytest.fixture
def board(program: Path) -> Iterator[Board]:
    """Runs the sketch behind a port."""
    running: list[tuple[subprocess.Popen[bytes], int, int]] = []

    def run(garble: int = 0) -> str:
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        process = subprocess.Popen([program], stdin=ours, stdout=ours, env={"GARBLE": str(garble)})
        running.append((process, ours, theirs))
        return os.ttyname(theirs)

    yield run
    for process, ours, theirs in running:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_the_sketch_moves_and_stops(board: Board) -> None:
    motor = ArduinoMotor(board(), FAST)
    with pytest.raises(MotorError, match="nobody has told"):
        motor.move(1.0)
    motor.jog(2.0)
    motor.ends = Ends(0.0, 60.0)
    motor.move(10.0)
    assert motor.where() == 10.0
    for act in (motor.move, motor.jog):
        with pytest.raises(MotorError, match="outside of the lens's ends"):
            act(60.5)
    clock = motor._clock

    class Presses:
        """Somebody stops it in mid-move."""

        now, today = clock.now, clock.today

        def sleep(self, seconds: float) -> None:
            motor.stop()
            clock.sleep(seconds)

    motor._clock = Presses()
    with pytest.raises(Stopped, match="was stopped at"):
        motor.move(60.0)
    motor._clock = clock
    assert 10.0 < motor.where() < 30.0
    motor.move(12.0)
    motor.declare(0.004)
    motor.move(0.0)
    assert motor.where() == pytest.approx(0.004)  # the next step would lie beyond the end
    assert not motor.reference()
    motor.close()


def test_garbled_lines_are_sent_again(board: Board) -> None:
    motor = ArduinoMotor(board(garble=61), FAST.model_copy(update={"answer_s": 0.05}))
    motor.ends = Ends(0.0, 5.0)
    for position in (1.0, 2.5, 0.5, 5.0):
        motor.move(position)
        assert motor.where() == position
    motor.close()


def test_restarts_and_strangers() -> None:
    terminal, clock = Terminal(), VirtualClock()
    answers = [b"zoom-ring 1*4e\n", b""]

    def act() -> None:
        if terminal.read():
            terminal.write(sealed(GREETING) if restarted else sealed("at 0 still"))

    restarted = False
    clock.watch(act)
    motor = ArduinoMotor(terminal.path, clock=clock)
    assert motor.where() == 0.0
    restarted = True
    with pytest.raises(MotorError, match="has restarted by itself"):
        motor.where()
    with pytest.raises(MotorError, match="does not know where it stands"):
        motor.where()
    motor.close()
    clock.unwatch(act)
    for answer, says in zip(answers, ("answers 'zoom-ring", "answers nothing. Is zoom_ring.ino on it"), strict=True):

        def stranger(answer: bytes = answer) -> None:
            if terminal.read():
                terminal.write(answer)

        clock.watch(stranger)
        with pytest.raises(MotorError, match=says):
            ArduinoMotor(terminal.path, clock=clock)
        clock.unwatch(stranger)
    terminal.close()
