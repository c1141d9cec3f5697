"""A board with Grbl 1.1h, or grblHAL, that does not exist: on a pseudo-terminal, byte for byte, with faults on demand.

Written after the notes and the sources of Grbl 1.1, and what the firmware says when it is run on a PC; it simplifies
motion: speed is constant, and half of it while a hold slows down for `brake_s`. One thing is not as it is on a board:
on an alarm in motion the ring lags behind the count by a known part, so that a program that trusts a lost count is
found out.

Time is the clock's. With a `VirtualClock` everything that has become due is done in the thread that slept.
"""

from __future__ import annotations

import heapq
import math
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from types import TracebackType
from typing import Literal, NamedTuple, Self

from anyzoom.capture.rig import Clock
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.terminal import Terminal

MM_PER_INCH = 25.4
START_S = 0.01  # from the `ok` of a move to its first step; until then the board says Idle
SLIP = 0.25  # of what it went, up to 1 mm: by so much the ring lags after a halt in motion
RX_BYTES = 127
READ_S = 0.01  # of real time: how soon it sees what has become due by a clock that nobody has to move on

Flavour = Literal["Grbl", "grblHAL"]
Vector = tuple[float, float, float]

BANNERS: Mapping[Flavour, str] = {
    "Grbl": "\r\nGrbl 1.1h ['$' for help]\r\n",
    "grblHAL": "\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n",
}
WHOLE = (0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 32)  # settings that are printed without a fraction
DEFAULTS: Mapping[int, float] = {
    **{0: 10, 1: 25, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 10: 1, 11: 0.01, 12: 0.002, 13: 0},
    **{20: 0, 21: 0, 22: 0, 23: 0, 24: 25, 25: 500, 26: 250, 27: 1, 30: 1000, 31: 0, 32: 0},
    **{100: 250, 101: 250, 102: 250, 110: 1200, 111: 1200, 112: 1200, 120: 10, 121: 10, 122: 10},
    **{130: 200, 131: 200, 132: 200},
}


class Refused(Exception):
    """A line that ends in an error."""

    def __init__(self, code: int) -> None:
        self.code = code


class Segment(NamedTuple):
    start: Vector
    target: Vector
    speed: float  # mm/s
    jog: bool

    @property
    def length(self) -> float:
        return math.dist(self.start, self.target)


class SimulatedBoard:
    """Its `port` can be opened as soon as it is there; close it, or use it as a context.

    ring: where the ring stands; the board counts from 0 there. switch: where the limit switch is, at the end to which
    $23 sends it. offset: the work offset of X that another program has left. All of it in mm.
    """

    def __init__(
        self,
        clock: Clock,
        flavour: Flavour = "Grbl",
        settings: Mapping[int, float] | None = None,
        *,
        ring: float = 0.0,
        switch: float | None = None,
        offset: float = 0.0,
        resets_on_opening: bool = True,
        boot_s: float = 1.0,
        brake_s: float = 0.1,
        empty_memory: bool = False,
    ) -> None:
        self.settings = {**DEFAULTS, **(settings or {})}
        self.written: list[str] = []  # lines that wrote to the memory
        self.received: list[str] = []  # all lines
        self.lowest = self.highest = ring  # where the ring has been
        self._clock = clock
        self._flavour = flavour
        self._switch = switch
        self._offset = (offset, 0.0, 0.0)
        self._resets_on_opening = resets_on_opening
        self._boot_s = boot_s
        self._brake_s = brake_s
        self._empty_memory = empty_memory
        self._lock = threading.RLock()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._number = count()
        self._count: Vector = (0.0, 0.0, 0.0)  # the board's own, in mm of the machine
        self._shift = ring  # the ring less the count
        self._braked_at: float | None = None  # when a hold will have come to rest
        self._dwells_until = 0.0
        self._now = clock.now()
        self._state = "Idle"
        self._silent_until = -math.inf
        self._taken = False
        self._start_up(rebooted=True)
        self._running = True
        self._terminal = Terminal()
        self._thread = threading.Thread(target=self._serve, name="simulated controller", daemon=True)
        if isinstance(clock, VirtualClock):
            clock.watch(self.settle)
        self._thread.start()

    @property
    def port(self) -> str:
        """The path of its serial port, the same after it has come back."""
        return self._terminal.path

    @property
    def position(self) -> float:
        """Where the ring is, whatever the board believes."""
        self.settle()
        return self._ring

    @property
    def state(self) -> str:
        """As its reports begin."""
        self.settle()
        return self._report_state()

    def close(self) -> None:
        self._running = False
        self._thread.join()
        if isinstance(self._clock, VirtualClock):
            self._clock.unwatch(self.settle)
        with self._lock:
            self._terminal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # faults

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do this after so many seconds of the clock, exactly then: a fault in mid-move."""
        with self._lock:
            heapq.heappush(self._timers, (self._clock.now() + seconds, next(self._number), act))

    def vanish(self) -> None:
        """The cable is pulled out: everything halts, and whoever has the port open is hung up."""
        with self._lock:
            self._halt()
            self._terminal.pull_out()
            self._taken = False

    def come_back(self) -> None:
        """The cable is plugged in again, if it was pulled out, and the board starts anew."""
        with self._lock:
            if not self._terminal.plugged:
                self._terminal.plug_in()
                self._start_up(rebooted=True)

    def restart(self) -> None:
        """Its supply fails for a moment, or somebody presses its reset button."""
        with self._lock:
            self._halt()
            self._boot()

    def alarm(self, code: int) -> None:
        """Raise an alarm, now."""
        with self._lock:
            self._raise_alarm(code)
            if code not in (1, 2):  # those two wait for the reset
                self._greet(locked=True)

    def say(self, data: bytes) -> None:
        """Something that nobody has asked for: noise, or a pushed message."""
        with self._lock:
            self._terminal.write(data)

    def silence(self, seconds: float) -> None:
        """It hangs: nothing is heard and nothing said, and what moves goes on."""
        with self._lock:
            self._silent_until = self._clock.now() + seconds

    def hold(self) -> None:
        """Somebody presses its hold button."""
        with self._lock:
            self._realtime(ord("!"))

    # time

    def settle(self) -> None:
        """Do all that has become due, and answer what has come."""
        with self._lock:
            now = self._clock.now()
            self._update(now)
            self._notice_opening(now)
            data = self._terminal.read() if self._running else b""
            if now >= self._silent_until:
                for byte in data:
                    self._take(byte)
            self._update(now)

    def _serve(self) -> None:
        while self._running:
            self._terminal.wait(READ_S)
            self.settle()

    def _notice_opening(self, now: float) -> None:
        taken = self._running and self._terminal.taken
        if taken and not self._taken and self._resets_on_opening:
            self._halt()
            self._start_up(rebooted=True)
            self._booting = True
            heapq.heappush(self._timers, (now + self._boot_s, next(self._number), self._boot))
        self._taken = taken

    def _update(self, now: float) -> None:
        while (due := min(self._timers[0][0] if self._timers else math.inf, self._motion_due())) <= now:
            self._advance(due)
            if self._timers and self._timers[0][0] <= due:
                heapq.heappop(self._timers)[2]()
            else:
                self._motion_done()
            self._parse()
        self._advance(max(now, self._now))

    # motion

    @property
    def _ring(self) -> float:
        return self._count[0] + self._shift

    def _motion_due(self) -> float:
        """When the segment ends, or the brakes have done."""
        if not self._going:
            return math.inf
        braked = self._braked_at if self._braked_at is not None else math.inf
        speed = self._queue[0].speed * (0.5 if braked < math.inf else 1.0)
        return min(braked, self._now + math.dist(self._count, self._queue[0].target) / speed)

    def _motion_done(self) -> None:
        if self._braked_at is not None and self._now >= self._braked_at:
            self._going, self._braked_at = False, None
            if self._state == "Jog":
                self._queue.clear()
                self._state = "Idle"
            return
        self._count = self._queue.popleft().target
        self._track()
        if not self._queue:
            self._going, self._braked_at = False, None
            self._state = "Hold" if self._state == "Hold" else "Idle"

    def _advance(self, now: float) -> None:
        if self._going:
            one = self._queue[0]
            left = math.dist(self._count, one.target)
            gone = one.speed * (0.5 if self._braked_at is not None else 1.0) * (now - self._now)
            share = min(1.0, gone / left) if left > 0 else 1.0
            x, y, z = (a + (b - a) * share for a, b in zip(self._count, one.target, strict=True))
            self._count = (x, y, z)
            self._track()
        self._now = now

    def _track(self) -> None:
        self.lowest, self.highest = min(self.lowest, self._ring), max(self.highest, self._ring)

    def _begin(self) -> None:
        if self._queue and not self._going and self._state == "Idle":
            self._going, self._state = True, "Jog" if self._queue[0].jog else "Run"

    def _halt(self, *, slips: bool = True) -> None:
        """At once, as only an alarm or a lost supply does; the ring lags behind."""
        if self._going and slips:
            gone = self._count[0] - self._queue[0].start[0]
            self._shift -= SLIP * math.copysign(min(abs(gone), 1.0), gone)
        self._queue.clear()
        self._going, self._braked_at = False, None

    # starting

    def _start_up(self, *, rebooted: bool) -> None:
        """As after a reset; a reboot forgets the count, too."""
        if rebooted:
            self._shift = getattr(self, "_count", (0.0, 0.0, 0.0))[0] + self._shift
            self._count = (0.0, 0.0, 0.0)
            self._state = "Alarm" if self.settings[22] else "Idle"
            self._homed = False
            self._booting = False
        self._queue: deque[Segment] = deque()
        self._lines: deque[str] = deque()
        self._typed = ""
        self._going = False  # steps are being made
        self._braked_at = None
        self._waits: str | None = None  # for what the line that was taken waits: dwell, home, critical
        self._pending = False  # a line was taken and is not answered
        self._modal = {"motion": 0.0, "units": 21.0, "distance": 90.0, "feed": 94.0}
        self._feed = 0.0
        self._reports = 0
        self._g92 = (0.0, 0.0, 0.0)

    def _boot(self) -> None:
        self._start_up(rebooted=True)
        if self._empty_memory:
            self._print("error:7\r\n" + self._settings_text())
            self._empty_memory = False
        self._greet(locked=self._state == "Alarm")

    def _greet(self, *, locked: bool) -> None:
        self._start_up(rebooted=False)
        self._state = "Alarm" if locked else "Idle"
        self._print(BANNERS[self._flavour])
        if locked:
            self._print("[MSG:'$H'|'$X' to unlock]\r\n")

    def _reset(self) -> None:
        locked = self._state in ("Alarm", "Sleep")
        if self._state == "Home":
            self._raise_alarm(6)
            locked = True
        elif self._going:
            self._raise_alarm(3)
            locked = True
        if self._pending:
            self._print("ok\r\n")
        self._greet(locked=locked)

    def _raise_alarm(self, code: int) -> None:
        self._halt(slips=code not in (2, 4, 5))
        self._state = "Alarm"
        self._print(f"ALARM:{code}\r\n")
        if code in (1, 2):
            self._print("[MSG:Reset to continue]\r\n")
            self._waits = "critical"

    # talking

    def _print(self, text: str) -> None:
        if self._clock.now() >= self._silent_until:
            self._terminal.write(text.encode("ascii"))

    def _take(self, byte: int) -> None:
        if self._booting:
            return
        if byte in b"?!~\x18" or byte >= 0x80:
            self._realtime(byte)
        elif byte in b"\r\n":
            waiting = sum(len(line) + 1 for line in self._lines)
            if waiting + len(self._typed) < RX_BYTES:
                self._lines.append(self._typed)
            self._typed = ""
            self._parse()
        else:
            self._typed += chr(byte)

    def _realtime(self, byte: int) -> None:
        if byte == 0x18:
            self._reset()
        elif byte == ord("?"):
            if self._waits not in ("home", "critical"):
                self._print(self._report())
        elif byte == ord("!"):
            if self._state in ("Run", "Jog"):
                self._braked_at = self._braked_at or self._now + self._brake_s
            if self._state in ("Run", "Idle"):
                self._state = "Hold"
        elif byte == ord("~"):
            if self._state == "Hold" and not self._going:
                self._state = "Idle"
                self._begin()
                self._parse()
        elif byte == 0x85 and self._state == "Jog":
            self._braked_at = self._braked_at or self._now + self._brake_s

    def _parse(self) -> None:
        """Run the lines that have come, as far as nothing has to be waited for."""
        if self._waits == "dwell" and not self._queue and self._now >= self._dwells_until:
            self._waits = None
            self._answer(0)
        while self._lines and not self._waits and self._state not in ("Hold", "Sleep"):
            line = self._lines.popleft()
            self.received.append(line)
            self._pending = True
            try:
                self._execute(re.sub(r"\([^)]*\)?|;.*|\s", "", line).upper())
            except Refused as refused:
                self._answer(refused.code)
            if not self._waits and self._pending:
                self._answer(0)

    def _answer(self, code: int) -> None:
        self._pending = False
        self._print(f"error:{code}\r\n" if code else "ok\r\n")

    def _report_state(self) -> str:
        if self._state == "Hold":
            return f"Hold:{int(self._going)}"
        return self._state

    def _report(self) -> str:
        inches = bool(self.settings[13])
        offset = tuple(a + b for a, b in zip(self._offset, self._g92, strict=True))
        machine = int(self.settings[10]) & 1
        at = self._count if machine else tuple(a - b for a, b in zip(self._count, offset, strict=True))
        speed = self._queue[0].speed * 60 if self._going else 0.0
        fields = [self._report_state(), f"{'MPos' if machine else 'WPos'}:{numbers_text(at, inches)}"]
        if self._flavour == "grblHAL":
            fields.append("Bf:35,1023")
        fields.append(f"FS:{speed:.0f},0")
        if self._reports % 10 == 0:
            fields.append(f"WCO:{numbers_text(offset, inches)}")
        elif self._reports % 10 == 1:
            fields.append("Ov:100,100,100")
        if self._flavour == "grblHAL" and self._reports % 10 == 0:
            fields += [f"H:{int(self._homed)}", "TLR:0", "A:"]
        self._reports += 1
        return f"<{'|'.join(fields)}>\r\n"

    def _settings_text(self) -> str:
        rows = [
            f"${number}={value:.0f}" if number in WHOLE else f"${number}={value:.3f}"
            for number, value in sorted(self.settings.items())
        ]
        if self._flavour == "grblHAL":
            rows += ["$340=5.0", "$384=0", "$450="]
        return "".join(f"{row}\r\n" for row in rows)

    def _execute(self, line: str) -> None:
        """Do what a line says, without its blanks and comments. Raises Refused."""
        raise NotImplementedError


def numbers_text(values: tuple[float, ...], inches: bool) -> str:
    return ",".join(f"{value / MM_PER_INCH:.4f}" if inches else f"{value:.3f}" for value in values)
