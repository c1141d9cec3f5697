"""libgphoto2's own virtual camera, a clock that takes no time, and a process that only plays the library."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anyzoom.capture.camera import tethered
from anyzoom.capture.camera.session import Session


class Instant:
    """A clock on which sleeping takes no time; what is due at some second happens as it is slept over."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for row in [row for row in self.due if row[0] <= self.seconds]:
            self.due.remove(row)
            row[1]()


@pytest.fixture
def clock() -> Instant:
    return Instant()


def a_jpeg(seed: int, pad_to: int | None = None) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG", quality=90)
    data = file.getvalue()
    return data if pad_to is None else data.ljust(pad_to, b"\0")


@pytest.fixture
def virtual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the virtual camera photographs; its length must stay the same."""
    found = find_spec("gphoto2")
    if found is None or found.origin is None:
        pytest.skip("the gphoto2 package is not installed")
    if not (Path(found.origin).parent / "libgphoto2" / "vusb").is_dir():
        pytest.skip("this gphoto2 package was built without libgphoto2's virtual camera (vusb)")
    scene = tmp_path / "virtual" / "scene.jpg"
    scene.parent.mkdir()
    scene.write_bytes(a_jpeg(0, pad_to=4000))
    monkeypatch.setenv("VCAMERADIR", str(scene.parent))
    monkeypatch.setenv("HOME", str(tmp_path))  # libgphoto2 remembers choices there
    return scene


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """All that a TetheredCamera starts, in their order."""
    started: list[Session] = []

    def start() -> Session:
        started.append(Session())
        return started[-1]

    monkeypatch.setattr(tethered, "Session", start)
    return started


class Played:
    """Plays the library: `answers` holds, per operation, what comes next; an exception is raised, a callable asked."""

    def __init__(self) -> None:
        self.starts = 0
        self.asked: list[tuple[Any, ...]] = []
        self.ended: list[str] = []
        self.settings = {
            "f-number": {"value": "f/4", "kind": "choice", "choices": ["f/4", "f/8"]},
            "imagequality": {"value": "JPEG Fine", "kind": "choice", "choices": ["JPEG Fine", "NEF+Fine"]},
        }
        self.answers: dict[str, list[Any]] = {}

    def __call__(self) -> Played:
        self.starts += 1
        return self

    def ask(self, deadline_s: float, operation: str, *arguments: Any) -> Any:
        self.asked.append((operation, *arguments))
        planned = self.answers.get(operation)
        if planned:
            answer = planned.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer
        return getattr(self, operation)(*arguments)

    def cameras(self) -> list[list[str]]:
        return [["Nikon DSC D810", "usb:001,004"]]

    def start(self, model: str, port: str) -> None:
        pass

    def names(self) -> list[str]:
        return list(self.settings)

    def read(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name, "read_only": False, **self.settings[name]} for name in names if name in self.settings]

    def write(self, name: str, value: str) -> None:
        self.settings[name]["value"] = value

    def capture(self, quiet_s: float, expected: int, patience_s: float) -> list[list[str]]:
        return [["/store/DCIM", f"DSC_1.{suffix}"] for suffix in ("NEF", "JPG")[2 - expected :]]

    def fetch(self, folder: str, name: str, path: str) -> None:
        Path(path).write_bytes(f"{folder}/{name}".encode())

    def delete(self, folder: str, name: str) -> None:
        pass

    def end(self) -> None:
        self.ended.append("end")

    def kill(self) -> None:
        self.ended.append("kill")


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    library = Played()
    monkeypatch.setattr(tethered, "Session", library)
    yield library
    assert not any(library.answers.values()), f"never asked for: {library.answers}"
