"""What may be wrong with a port, in one sentence each."""

from __future__ import annotations

import errno
import grp
import re
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from anyzoom.capture.motor import open_motor, port, ports
from anyzoom.capture.motor.port import Port, PortFound
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.terminal import Terminal
from anyzoom.errors import MotorError

serial = pytest.importorskip("serial")


def refused(address: str) -> str:
    with pytest.raises(MotorError) as caught:
        Port(address, 115200, VirtualClock())
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_unknown_port_lists_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "ports", lambda: [PortFound("/dev/ttyUSB7", "USB Serial")])
    assert refused("/dev/ttyUSB99") == "there is no port /dev/ttyUSB99. Those there are: /dev/ttyUSB7"
    monkeypatch.setattr(port, "ports", lambda: [])
    assert "none: is the board connected" in refused("/dev/ttyUSB99")


def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = tmp_path / "ttyUSB0"
    device.touch()
    device.chmod(0o660)

    def deny(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port: Permission denied")

    monkeypatch.setattr(serial, "serial_for_url", deny)
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name="dialout"))
    assert re.search(
        r"belongs to the group dialout: run 'sudo usermod -aG dialout \S+', then log out", refused(str(device))
    )
    device.chmod(0o600)
    assert "udev rule" in refused(str(device))


def test_two_programs_on_one_port() -> None:
    terminal = Terminal()
    first = Port(terminal.path, 115200, VirtualClock())
    assert "is in use by another program" in refused(terminal.path)
    first.close()
    Port(terminal.path, 115200, VirtualClock()).close()
    terminal.close()


def test_no_serial_port(tmp_path: Path) -> None:
    assert "is no serial port" in refused(str(tmp_path))
    assert "cannot be opened" in refused("/dev/null") or "no serial port" in refused("/dev/null")


def test_nobody_on_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert f"nothing answers at socket://127.0.0.1:{free}" in refused(f"socket://127.0.0.1:{free}")
    assert "no port that can be opened" in refused("nonsense://here")


def test_vanishes() -> None:
    terminal = Terminal()
    link = Port(terminal.path, 115200, VirtualClock())
    terminal.pull_out()
    with pytest.raises(MotorError, match="has vanished"):
        link.line(1.0)
    with pytest.raises(MotorError, match="has vanished"):
        link.send(b"?")
    link.close()
    terminal.close()


def test_lines_and_what_is_left() -> None:
    terminal, clock = Terminal(), VirtualClock()
    link = Port(terminal.path, 115200, clock)
    terminal.write(b"ok\r\nerr")
    assert link.line(5.0) == "ok"
    assert link.line(5.0) is None
    assert clock.now() == pytest.approx(5.0, abs=0.1)
    assert link.unfinished() == "err"
    terminal.write(b"or:9\r\n\xff\xfe\n")
    assert link.line(5.0) == "error:9"
    assert link.line(5.0) == "\ufffd\ufffd"
    link.close()
    terminal.close()


def test_kinds_and_settings() -> None:
    with pytest.raises(MotorError, match=r"no motor of kind 'grb'\. Choose one of grbl, arduino"):
        open_motor("/dev/null", "grb")
    with pytest.raises(MotorError, match="Did you mean 'baud'"):
        open_motor("/dev/null", "grbl", {"bauds": 9600})
    with pytest.raises(MotorError, match="feed"):
        open_motor("/dev/null", "grbl", {"feed": -1})


def test_ports_are_listed() -> None:
    assert all(isinstance(one, PortFound) for one in ports())
