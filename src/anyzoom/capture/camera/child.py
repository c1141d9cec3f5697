"""The only process that loads libgphoto2: a script that does one request after the other until its pipe closes.

It stands apart because the library's calls can hang for minutes and can crash: a process can be killed and started
again. It imports nothing of ours, so it starts in a fraction of a second. A request is JSON, [operation, arguments...];
an answer is {"value": ...}, or {"code": ..., "text": ...} of the library, or {"errno": ...} of the system.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gphoto2

OLD_EVENTS_S = 2.0  # no longer than this are events of earlier shots thrown away
MS = 1000
KINDS = {
    gphoto2.GP_WIDGET_RADIO: "choice",
    gphoto2.GP_WIDGET_MENU: "choice",
    gphoto2.GP_WIDGET_TOGGLE: "toggle",
    gphoto2.GP_WIDGET_RANGE: "range",
    gphoto2.GP_WIDGET_TEXT: "text",
}


class Library:
    """What may be asked. The camera is there from `start` on."""

    def __init__(self) -> None:
        self.camera = gphoto2.Camera()

    def cameras(self) -> list[tuple[str, str]]:
        """Model and port of all that is plugged in; memory sticks, which the library takes for cameras, left out."""
        found = gphoto2.Camera.autodetect()
        rows = [(found.get_name(i), found.get_value(i)) for i in range(found.count())]
        return [row for row in rows if not row[1].startswith("disk:")]

    def start(self, model: str, port: str) -> None:
        ports, models = gphoto2.PortInfoList(), gphoto2.CameraAbilitiesList()
        ports.load()
        models.load()
        self.camera.set_port_info(ports[ports.lookup_path(port)])
        self.camera.set_abilities(models[models.lookup_model(model)])
        self.camera.init()

    def exit(self) -> None:
        self.camera.exit()

    def names(self) -> list[str]:
        """Those of all settings. (The library's own list of them names many that the camera has not.)"""
        pending, found = [self.camera.get_config()], []
        while pending:
            widget = pending.pop()
            if widget.get_type() in KINDS:
                found.append(widget.get_name())
            pending.extend(widget.get_child(i) for i in range(widget.count_children()))
        return found

    def read(self, names: list[str]) -> list[dict[str, Any]]:
        """The settings of those names that the camera has."""
        found = []
        for name in names:
            try:
                widget = self.camera.get_single_config(name)
            except gphoto2.GPhoto2Error as error:
                if error.code != gphoto2.GP_ERROR_BAD_PARAMETERS:
                    raise
                continue
            kind = KINDS.get(widget.get_type())
            if kind is None:  # buttons, dates and drawers of further settings
                continue
            value = widget.get_value()
            choices: list[str] = []
            if kind == "choice":
                choices = [widget.get_choice(i) for i in range(widget.count_choices())]
            elif kind == "range":
                choices = [f"{number:g}" for number in widget.get_range()]
            found.append(
                {
                    "name": name,
                    "value": f"{value:g}" if kind == "range" else str(value),
                    "kind": kind,
                    "choices": choices,
                    "read_only": bool(widget.get_readonly()),
                }
            )
        return found

    def write(self, name: str, value: str) -> None:
        widget = self.camera.get_single_config(name)
        converted = {gphoto2.GP_WIDGET_TOGGLE: int, gphoto2.GP_WIDGET_RANGE: float}.get(widget.get_type(), str)
        widget.set_value(converted(value))
        self.camera.set_single_config(name, widget)

    def capture(self, quiet_s: float, expected: int, patience_s: float) -> list[tuple[str, str]]:
        """Folder and name of each file of one shot: until nothing has come for `quiet_s` and `expected` are there."""
        stale = time.monotonic() + OLD_EVENTS_S
        while time.monotonic() < stale and self.camera.wait_for_event(1)[0] != gphoto2.GP_EVENT_TIMEOUT:
            pass  # somebody may have pressed the shutter by hand
        first = self.camera.capture(gphoto2.GP_CAPTURE_IMAGE)
        files = [(first.folder, first.name)]
        limit = time.monotonic() + patience_s
        while True:
            event, data = self.camera.wait_for_event(round(quiet_s * MS))
            if event == gphoto2.GP_EVENT_FILE_ADDED and (data.folder, data.name) not in files:
                files.append((data.folder, data.name))
            elif (event == gphoto2.GP_EVENT_TIMEOUT and len(files) >= expected) or time.monotonic() > limit:
                return files

    def fetch(self, folder: str, name: str, path: str) -> None:
        file = self.camera.file_get(folder, name, gphoto2.GP_FILE_TYPE_NORMAL)
        Path(path).write_bytes(memoryview(file.get_data_and_size()))

    def delete(self, folder: str, name: str) -> None:
        self.camera.file_delete(folder, name)


def answered(operation: Callable[..., Any], arguments: list[Any]) -> dict[str, Any]:
    try:
        return {"value": operation(*arguments)}
    except gphoto2.GPhoto2Error as error:
        return {"code": error.code, "text": error.string}
    except OSError as error:
        return {"errno": error.errno}


def received(pipe: Connection, requests: queue.SimpleQueue[list[Any]]) -> None:
    """Listens in a thread of its own: when the one who asks is gone, this ends even while the library hangs."""
    while True:
        try:
            requests.put(json.loads(pipe.recv_bytes()))
        except (EOFError, OSError):
            os._exit(0)


def main(pipe: Connection) -> None:
    library = Library()
    requests: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    threading.Thread(target=received, args=(pipe, requests), daemon=True).start()
    while True:
        operation, *arguments = requests.get()
        pipe.send_bytes(json.dumps(answered(getattr(library, operation), arguments)).encode())


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
