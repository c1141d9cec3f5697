"""The near end of the pipe to the process that holds libgphoto2: every request has a deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from anyzoom.capture.camera.troubles import Lost, Refused
from anyzoom.errors import MissingExtra

CHILD = Path(__file__).with_name("child.py")
END_S = 5.0  # for a last word, and for the system to end a killed process


class Session:
    """A running child. Whoever has it calls `end`, or `kill` when it is of no more use."""

    def __init__(self) -> None:
        if find_spec("gphoto2") is None:
            raise MissingExtra("a tethered camera", "capture")
        self._pipe, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(CHILD), str(theirs.fileno())],  # -P: no module of this folder hides another
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us: amidst a picture it would leave the camera hanging
            )

    def ask(self, deadline_s: float, operation: str, *arguments: Any) -> Any:
        """Raises Lost when no answer comes, Refused for the library's errors, OSError for those of the disk."""
        try:
            self._pipe.send_bytes(json.dumps([operation, *arguments]).encode())
            if not self._pipe.poll(deadline_s):
                raise Lost(f"the camera gave no answer within {deadline_s:g} s to: {operation}")
            answer = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError) as error:
            raise Lost(f"the camera's library crashed over: {operation}") from error
        if "code" in answer:
            raise Refused(answer["code"], answer["text"])
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return answer["value"]

    def end(self) -> None:
        """Say goodbye to the camera, so that it shows its own menu again, and end."""
        with suppress(Lost, Refused):
            self.ask(END_S, "exit")
        self.kill()

    def kill(self) -> None:
        self._pipe.close()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):  # a system that waits for a dead cable lets nothing end
            self.process.wait(END_S)
