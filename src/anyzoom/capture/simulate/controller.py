"""The lines that a simulated board understands: `$` commands, jogs and G-code, as Grbl 1.1 and grblHAL answer them."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Mapping

from anyzoom.capture.simulate.board import (
    MM_PER_INCH,
    START_S,
    Flavour,
    Refused,
    Segment,
    SimulatedBoard,
    Vector,
    numbers_text,
)

LOCATE_S = 1.0  # homing touches its switch again, slowly
LINE_BYTES = 79
BUILDS: Mapping[Flavour, str] = {
    "Grbl": "[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\n",
    "grblHAL": "[VER:1.1f.20240817:]\r\n[OPT:VNMSL,35,1024,3,0]\r\n[NEWOPT:ENUMS,RT+,HOME]\r\n[FIRMWARE:grblHAL]\r\n"
    "[SIGNALS:HSEP]\r\n[NVS STORAGE:*EEPROM]\r\n[DRIVER:Simulator]\r\n",
}
GROUPS: Mapping[str, tuple[float, ...]] = {  # of G-codes that exclude each other
    "motion": (0, 1),
    "units": (20, 21),
    "distance": (90, 91),
    "feed": (93, 94),
    "plane": (17,),
    "coordinates": (54,),
    "machine": (53,),
    "other": (4, 92, 92.1),
}


class SimulatedController(SimulatedBoard):
    """A simulated board with its firmware's language."""

    # lines

    def _execute(self, line: str) -> None:
        if len(line) > LINE_BYTES:
            raise Refused(11)
        if line.startswith("$"):
            self._system(line)
        elif line:
            if self._state in ("Alarm", "Jog"):
                raise Refused(9)
            self._g_code(line)

    def _system(self, line: str) -> None:
        told: Mapping[str, Callable[[], str]] = {
            "$": lambda: "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n",
            "$$": self._settings_text,
            "$#": self._parameters,
            "$G": self._modes,
            "$I": lambda: BUILDS[self._flavour],
            "$N": lambda: "$N0=\r\n$N1=\r\n",
        }
        if self._state in ("Run", "Jog") and not line.startswith(("$G", "$J", "$X")):
            raise Refused(8)
        if line in told:
            self._print(told[line]())
        elif line.startswith("$J="):
            if self._state not in ("Idle", "Jog"):
                raise Refused(8)
            self._jog(line[3:])
        elif line == "$X":
            if self._state == "Alarm":
                self._print("[MSG:Caution: Unlocked]\r\n")
                self._state = "Idle"
        elif line == "$C":
            self._check()
        elif line == "$SLP":
            self._print("[MSG:Sleeping]\r\n")
            self._state = "Sleep"
        elif line == "$H":
            self._home()
        else:
            self._store(line)

    def _modes(self) -> str:
        m = self._modal
        return (
            f"[GC:G{m['motion']:.0f} G54 G17 G{m['units']:.0f} G{m['distance']:.0f} G{m['feed']:.0f} "
            f"M5 M9 T0 F{self._feed:.0f} S0]\r\n"
        )

    def _check(self) -> None:
        if self._state == "Check":
            self._print("[MSG:Disabled]\r\n")
            self._reset()
        else:
            self._print("[MSG:Enabled]\r\n")
            self._state = "Check"

    def _parameters(self) -> str:
        inches, nothing = bool(self.settings[13]), numbers_text((0.0, 0.0, 0.0), bool(self.settings[13]))
        rows = [f"[G54:{numbers_text(self._offset, inches)}]"]
        rows += [f"[G{number}:{nothing}]" for number in (55, 56, 57, 58, 59, 28, 30)]
        rows += [f"[G92:{numbers_text(self._g92, inches)}]", f"[TLO:{nothing.split(',')[0]}]", f"[PRB:{nothing}:0]"]
        return "".join(f"{row}\r\n" for row in rows)

    def _store(self, line: str) -> None:
        found = re.fullmatch(r"\$(\d+)=(-?\d+\.?\d*)", line)
        if not found or int(found[1]) not in self.settings:
            raise Refused(3)
        number, value = int(found[1]), float(found[2])
        if value < 0:
            raise Refused(4)
        if number == 20 and value and not self.settings[22]:
            raise Refused(10)
        if number == 22 and not value:
            self.settings[20] = 0.0
        self.settings[number] = value
        self.written.append(line)

    def _home(self) -> None:
        if not self.settings[22]:
            raise Refused(5)
        self._state, self._waits = "Home", "home"
        seek = self.settings[25] / 60
        if self._switch is None:
            self._at(1.5 * self.settings[130] / seek, self._not_found)
        else:
            self._at(abs(self._switch - self._ring) / seek + LOCATE_S, self._home_found)

    def _at(self, seconds: float, act: Callable[[], object]) -> None:
        """Do it then, unless a reset comes first."""
        queue = self._queue  # a reset makes a new one

        def unless_reset() -> None:
            if self._queue is queue:
                act()

        heapq.heappush(self._timers, (self._now + seconds, next(self._number), unless_reset))

    def _home_found(self) -> None:
        assert self._switch is not None
        pull, towards_low = self.settings[27], int(self.settings[23]) & 1
        at = pull - self.settings[130] if towards_low else -pull
        self.lowest, self.highest = min(self.lowest, self._switch), max(self.highest, self._switch)
        self._shift = self._switch + (pull if towards_low else -pull) - at
        self._count = (at, -pull, -pull)
        self._homed, self._state, self._waits = True, "Idle", None
        self._answer(0)

    def _not_found(self) -> None:
        self._raise_alarm(9)
        self._print("ok\r\n")
        self._greet(locked=True)

    def _jog(self, line: str) -> None:
        words = _words(line)
        codes = [value for letter, value in words if letter == "G"]
        rest = {letter: value for letter, value in words if letter != "G"}
        if not set(codes) <= {20, 21, 53, 90, 91} or not set(rest) <= set("FXYZ"):
            raise Refused(16)
        axes = {letter: value for letter, value in rest.items() if letter in "XYZ"}
        if not axes:
            raise Refused(26)
        if rest.get("F", 0) <= 0:
            raise Refused(22)
        modal = {**self._modal, **{_group(code): code for code in codes}}
        target = self._target(axes, modal, machine=53 in codes)
        if self._beyond(target):
            raise Refused(15)
        self._enqueue(target, rest["F"] * _unit(modal), jog=True)

    def _g_code(self, line: str) -> None:
        words = _words(line)
        codes = [value for letter, value in words if letter == "G"]
        rest = {letter: value for letter, value in words if letter != "G"}
        axes = {letter: rest.pop(letter) for letter in "XYZ" if letter in rest}
        modal = {**self._modal, **{_group(code): code for code in codes if _group(code) in self._modal}}
        feed = rest.pop("F") * _unit(modal) if "F" in rest else self._feed
        pause = rest.pop("P", None) if 4 in codes else None
        moves = bool(axes) and not {4, 92, 92.1} & set(codes)
        for code, wrong in {
            20: "M" in rest or not all(_group(code) for code in codes),
            21: len({_group(code) for code in codes}) < len(codes),
            25: len(rest) + len(axes) + ("F" in line) + (pause is not None) + len(codes) < len(words),
            28: 4 in codes and pause is None,
            26: not axes and bool({53, 92} & set(codes)),
            31: bool(axes) and not moves and 92 not in codes,
            22: moves and modal["motion"] == 1 and feed <= 0,
            36: bool(rest),
        }.items():
            if wrong:
                raise Refused(code)
        self._modal, self._feed = modal, feed
        if pause is not None:
            self._waits, self._dwells_until = "dwell", self._motion_end() + pause
            self._at(self._dwells_until - self._now, lambda: None)
        elif {92, 92.1} & set(codes):
            self._set_work(axes, _unit(modal))
        elif moves and self._state != "Check":
            target = self._target(axes, modal, machine=53 in codes)
            if self._beyond(target):
                self._raise_alarm(2)
            else:
                self._enqueue(target, self.settings[110] if modal["motion"] == 0 else feed, jog=False)

    def _motion_end(self) -> float:
        """When all that is queued will have been done, if nothing comes between."""
        ends = self._now + (0.0 if self._going else START_S if self._queue else 0.0)
        for i, one in enumerate(self._queue):
            ends += (math.dist(self._count, one.target) if i == 0 else one.length) / one.speed
        return ends

    def _set_work(self, axes: Mapping[str, float], unit: float) -> None:
        last = self._queue[-1].target if self._queue else self._count
        g92 = [
            last[i] - self._offset[i] - axes[axis] * unit if axis in axes else self._g92[i]
            for i, axis in enumerate("XYZ")
        ]
        self._g92 = (g92[0], g92[1], g92[2]) if axes else (0.0, 0.0, 0.0)
        self._reports = 0

    def _target(self, axes: Mapping[str, float], modal: Mapping[str, float], *, machine: bool) -> Vector:
        """In the board's count, on whole steps."""
        last = self._queue[-1].target if self._queue else self._count
        target = list(last)
        for i, axis in enumerate("XYZ"):
            if axis in axes:
                value = axes[axis] * _unit(modal)
                if modal["distance"] == 91:
                    value += last[i]
                elif not machine:
                    value += self._offset[i] + self._g92[i]
                target[i] = round(value * self.settings[100 + i]) / self.settings[100 + i]
        return target[0], target[1], target[2]

    def _beyond(self, target: Vector) -> bool:
        """Of the soft limits; grblHAL knows them only once it was homed."""
        if not self.settings[20] or (self._flavour == "grblHAL" and not self._homed):
            return False
        return any(not -self.settings[130 + i] <= at <= 0 for i, at in enumerate(target))

    def _enqueue(self, target: Vector, feed: float, *, jog: bool) -> None:
        last = self._queue[-1].target if self._queue else self._count
        if target != last:
            self._queue.append(Segment(last, target, min(feed, self.settings[110]) / 60, jog))
            if jog:
                self._begin()
            self._at(START_S, self._begin)


def _words(line: str) -> list[tuple[str, float]]:
    """Letters with their numbers."""
    words, rest = [], line
    while rest:
        found = re.match(r"[A-Z]([+-]?(?:\d+\.?\d*|\.\d+))", rest)
        if not found:
            raise Refused(2 if rest[0].isalpha() else 1)
        words.append((rest[0], float(found[1])))
        rest = rest[found.end() :]
    return words


def _group(code: float) -> str:
    return next((name for name, codes in GROUPS.items() if code in codes), "")


def _unit(modal: Mapping[str, float]) -> float:
    return MM_PER_INCH if modal["units"] == 20 else 1.0
