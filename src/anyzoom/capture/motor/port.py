"""A serial port or a `socket://host:port`: lines come, bytes go, and what is wrong with it is told in words.

Reading waits by the rig's clock, in short sleeps, so that a stop is noticed soon and simulated time costs none.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from anyzoom.capture.rig import Clock
from anyzoom.errors import MissingExtra, MotorError

if TYPE_CHECKING:
    from serial import Serial

LISTEN_S = 0.001  # of real time, for what is on its way, before the clock is asked to sleep
NAP_S = 0.05  # the longest of those sleeps
LONGEST = 4096  # bytes without the end of a line: no board says so much at a time


class PortFound(NamedTuple):
    """A serial port of this computer."""

    address: str
    description: str


def ports() -> list[PortFound]:
    """The serial ports that there are; boards on the network are not found. Raises MissingExtra."""
    _pyserial()
    from serial.tools.list_ports import comports

    return sorted(PortFound(one.device, one.description) for one in comports())


class Port:
    """Open after `__init__`, for this program alone. All but `close` raise MotorError."""

    def __init__(self, address: str, baud: int, clock: Clock) -> None:
        self.address = address
        self._clock = clock
        self._held = b""
        self._nap = LISTEN_S  # longer and longer while nothing comes
        self._link = _open(address, baud)

    def line(self, wait_s: float) -> str | None:
        """The next line without its end, or None if none comes in time. Bytes that are no text become U+FFFD."""
        give_up = self._clock.now() + wait_s
        while True:
            line, end, rest = self._held.partition(b"\n")
            if end or len(line) > LONGEST:
                self._held = rest
                return line.decode("ascii", "replace").rstrip("\r")
            if more := self._read():
                self._held, self._nap = self._held + more, LISTEN_S
                continue
            left = give_up - self._clock.now()
            if left <= 0:
                return None
            self._clock.sleep(min(left, self._nap))
            self._nap = min(2 * self._nap, NAP_S)

    def unfinished(self) -> str:
        """What has come of a line whose end has not."""
        return self._held.decode("ascii", "replace")

    def send(self, data: bytes) -> None:
        self._nap = LISTEN_S
        try:
            self._link.write(data)
        except (OSError, ValueError) as error:  # pyserial's errors are OSErrors, and of what no longer is open
            raise self._vanished() from error

    def close(self) -> None:
        try:
            self._link.close()
        except OSError:
            return  # it went before us

    def _read(self) -> bytes:
        try:
            data: bytes = self._link.read(max(1, self._link.in_waiting))
        except (OSError, TypeError, ValueError) as error:  # pyserial reads from None when closed meanwhile
            raise self._vanished() from error
        return data

    def _vanished(self) -> MotorError:
        return MotorError(f"{self.address} has vanished. Look at its cable and power, and connect it again.")


def _pyserial() -> Any:
    try:
        import serial
    except ImportError as error:
        raise MissingExtra("driving a motor", "capture") from error
    return serial


def _open(address: str, baud: int) -> Serial:
    serial = _pyserial()
    local = "://" not in address
    options = {"exclusive": True} if local else {}  # the URLs know of no such thing
    try:
        link: Serial = serial.serial_for_url(address, baudrate=baud, timeout=LISTEN_S, write_timeout=2.0, **options)
    except OSError as error:
        raise MotorError(_refusal(address, error) if local else _unreachable(address)) from error
    except ValueError as error:
        raise MotorError(f"{address} at {baud} baud is no port that can be opened ({error}).") from error
    return link


def _refusal(address: str, error: OSError) -> str:
    path = Path(address)
    if not path.exists():
        there = ", ".join(one.address for one in ports()) or "none: is the board connected and powered?"
        return f"there is no port {address}. Those there are: {there}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"you may not open {address}. {_how_to_join(path)}"
    if path.is_dir() or path.is_file():
        return f"{address} is no serial port. `anyzoom capture doctor` lists those there are."
    # pyserial gives no number with its own lock
    if error.errno in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return f"{address} is in use by another program. Close it, such as a G-code sender or a serial monitor."
    return f"{address} cannot be opened ({error.strerror or error}). Is it a serial port?"


def _how_to_join(path: Path) -> str:
    import grp

    owner = path.stat().st_gid
    try:
        group = grp.getgrgid(owner).gr_name
    except KeyError:
        return f"It belongs to group {owner}, which has no name here. Ask whoever administers this computer."
    if group == "root" or not path.stat().st_mode & 0o060:
        return "Its group has no rights to it. Ask whoever administers this computer for a udev rule."
    user = os.environ.get("USER", "$USER")
    return f"It belongs to the group {group}: run 'sudo usermod -aG {group} {user}', then log out and in again."


def _unreachable(address: str) -> str:
    return f"nothing answers at {address}. Is the board on this network, and are host and port right?"
