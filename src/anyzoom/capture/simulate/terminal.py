"""A pseudo-terminal behind which a simulated board sits: a serial port that can be plugged in and pulled out."""

from __future__ import annotations

import os
import select
import tempfile
import time
import tty
from pathlib import Path


class Terminal:
    """The board's side of the cable. `path` stays while the device behind it comes and goes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="anyzoom-port-")
        self.path = str(Path(self._folder.name) / "ttyZOOM0")
        self._ours: int | None = None
        self.plug_in()

    @property
    def plugged(self) -> bool:
        return self._ours is not None

    def plug_in(self) -> None:
        """The device appears, if it is not there."""
        if self._ours is not None:
            return
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(self._ours, False)
        Path(self.path).symlink_to(os.ttyname(theirs))
        os.close(theirs)

    def pull_out(self) -> None:
        """The device goes, and whoever has it open is hung up."""
        if self._ours is not None:
            Path(self.path).unlink()
            os.close(self._ours)
            self._ours = None

    def close(self) -> None:
        self.pull_out()
        self._folder.cleanup()

    @property
    def taken(self) -> bool:
        """Some program has it open."""
        return self._ours is not None and not self._events(0) & select.POLLHUP

    def wait(self, seconds: float) -> None:
        """Until something has come, but no longer than so many seconds of real time."""
        began = time.monotonic()
        if not self._events(seconds) & select.POLLIN:
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))  # a port that nobody has open is ready at once

    def read(self) -> bytes:
        """What has come."""
        if self._ours is None:
            return b""
        try:
            return os.read(self._ours, 4096)
        except OSError:  # nothing has, or nobody is there
            return b""

    def write(self, data: bytes) -> None:
        """Lost when nobody listens, as on a real port."""
        if self._ours is not None and self.taken:
            try:
                os.write(self._ours, data)
            except OSError:
                return  # the listener's buffer is full, or it has just gone

    def _events(self, seconds: float) -> int:
        if (ours := self._ours) is None:
            return 0
        poller = select.poll()
        poller.register(ours, select.POLLIN)
        return next((events for _, events in poller.poll(seconds * 1000)), 0)
