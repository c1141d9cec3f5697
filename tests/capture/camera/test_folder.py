"""Pictures that an operator takes by hand and that appear in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.capture.camera.conftest import Instant, Played, a_jpeg

from anyzoom.capture.camera import FolderCamera, FolderSettings, open_camera
from anyzoom.capture.camera.tethered import TetheredCamera
from anyzoom.capture.rig import Camera
from anyzoom.errors import CameraError

PICTURE, OTHER = a_jpeg(1), a_jpeg(2)


class Desk:
    """An operator, who puts files into the watched folder at their time."""

    def __init__(self, home: Path, clock: Instant) -> None:
        self.watched, self.run, self.clock = home / "watched", home / "run", clock
        self.watched.mkdir()
        self.run.mkdir()

    def at(self, second: float, name: str, data: bytes) -> None:
        write: Callable[[], object] = lambda: (self.watched / name).write_bytes(data)  # noqa: E731
        self.clock.due.append((self.clock.now() + second, write))

    def camera(self, **settings: object) -> Camera:
        return open_camera("folder", {"folder": self.watched, "deadline_s": 60, **settings}, self.clock)

    def taken(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.run.iterdir()}


@pytest.fixture
def desk(tmp_path: Path, clock: Instant) -> Desk:
    return Desk(tmp_path, clock)


def test_the_picture_that_comes_is_copied(desk: Desk) -> None:
    (desk.watched / "IMG_0.JPG").write_bytes(OTHER)
    camera = desk.camera()
    desk.at(7, "IMG_1.JPG", PICTURE)
    assert camera.shoot(desk.run, "frame_001") == (desk.run / "frame_001.jpg",)
    assert desk.taken() == {"frame_001.jpg": PICTURE}
    assert (desk.watched / "IMG_1.JPG").read_bytes() == PICTURE
    assert 9 <= desk.clock.now() <= 10


def test_it_is_taken_when_it_is_complete(desk: Desk) -> None:
    for second in range(1, 10):
        desk.at(second, "IMG_1.JPG", PICTURE[: len(PICTURE) * second // 9])
    desk.camera().shoot(desk.run, "a")
    assert desk.taken() == {"a.jpg": PICTURE}


def test_one_that_pauses_in_its_middle_is_taken_when_it_decodes(desk: Desk) -> None:
    desk.at(1, "IMG_1.JPG", PICTURE[:500])
    desk.at(20, "IMG_1.JPG", PICTURE)
    desk.camera().shoot(desk.run, "a")
    assert desk.taken() == {"a.jpg": PICTURE}


def test_one_that_came_before_is_never_taken(desk: Desk) -> None:
    """Neither one that was there from the start, nor one shot while nobody asked."""
    camera = desk.camera()
    (desk.watched / "IMG_1.JPG").write_bytes(PICTURE)
    with pytest.raises(CameraError, match=r"no photograph appeared in .* within 60 s") as caught:
        camera.shoot(desk.run, "a")
    assert caught.value.again
    assert desk.taken() == {}


def test_a_raw_belongs_to_its_picture(desk: Desk) -> None:
    desk.at(3, "IMG_1.CR3", b"raw")
    desk.at(4, "IMG_1.JPG", PICTURE)
    assert desk.camera().shoot(desk.run, "a") == (desk.run / "a.jpg", desk.run / "a.cr3")
    assert desk.taken() == {"a.jpg": PICTURE, "a.cr3": b"raw"}


def test_a_raw_that_comes_late_is_waited_for_or_belongs_to_nothing(desk: Desk) -> None:
    camera = desk.camera()
    desk.at(1, "IMG_1.JPG", PICTURE)
    desk.at(10, "IMG_1.CR3", b"raw")
    assert len(camera.shoot(desk.run, "a")) == 1
    desk.at(12, "IMG_2.JPG", OTHER)
    assert camera.shoot(desk.run, "b") == (desk.run / "b.jpg",)
    desk.at(1, "IMG_3.JPG", PICTURE)
    desk.at(20, "IMG_3.CR3", b"raw")
    assert len(desk.camera(raw=True).shoot(desk.run, "c")) == 2


def test_two_at_once_are_an_error_and_never_taken(desk: Desk) -> None:
    camera = desk.camera()
    desk.at(1, "IMG_1.JPG", PICTURE)
    desk.at(2, "IMG_2.JPG", OTHER)
    with pytest.raises(CameraError, match=r"IMG_1.JPG, IMG_2.JPG appeared .* at once; .* take one more\.$") as caught:
        camera.shoot(desk.run, "a")
    assert caught.value.again
    desk.at(1, "IMG_3.JPG", PICTURE)
    camera.shoot(desk.run, "a")
    assert desk.taken() == {"a.jpg": PICTURE}


@pytest.mark.parametrize(
    ("name", "data", "settings", "sentence"),
    [
        ("IMG_1.CR3", b"raw", {}, "IMG_1.CR3 came within 60 s; a JPEG, PNG or TIFF of one name was expected"),
        ("IMG_1.HEIC", b"heic", {}, "IMG_1.HEIC came within 60 s; a JPEG, PNG or TIFF"),
        ("IMG_1.JPG", PICTURE, {"raw": True}, "IMG_1.JPG came within 60 s; a JPEG and its raw"),
        ("IMG_1.JPG", b"", {}, "IMG_1.JPG came within 60 s with a file without a byte"),
        ("IMG_1.JPG", PICTURE[:500], {}, r"cannot be read within 60 s: .* Take it again\."),
        (".IMG_1.JPG", PICTURE, {}, "no photograph appeared"),
    ],
)
def test_what_is_no_photograph(desk: Desk, name: str, data: bytes, settings: dict[str, bool], sentence: str) -> None:
    desk.at(1, name, data)
    with pytest.raises(CameraError, match=sentence):
        desk.camera(**settings).shoot(desk.run, "a")
    assert desk.taken() == {}


def test_a_folder_that_cannot_be_watched(desk: Desk) -> None:
    with pytest.raises(CameraError, match="no such folder"):
        desk.camera(folder=desk.watched / "nowhere")
    with pytest.raises(CameraError, match="both the run's and the one to watch"):
        desk.camera().shoot(desk.watched, "a")
    camera = desk.camera()
    desk.clock.due.append((5, desk.watched.rmdir))
    with pytest.raises(CameraError, match="no such folder"):
        camera.shoot(desk.run, "a")


def test_its_settings_are_the_operators(desk: Desk) -> None:
    camera = desk.camera()
    assert camera.settings() == camera.configure({}) == {}
    with pytest.raises(CameraError, match="Leave iso, aperture out"):
        camera.configure({"iso": "100", "aperture": "f/8"})


def test_cameras_are_opened_by_name(desk: Desk, played: Played) -> None:
    assert isinstance(desk.camera(), FolderCamera)
    assert isinstance(open_camera("gphoto2", clock=desk.clock), TetheredCamera)
    with pytest.raises(CameraError, match=r"no kind of camera 'phone'\. Choose one of gphoto2, folder"):
        open_camera("phone")
    with pytest.raises(CameraError, match="camera folder: folder: Field required"):
        open_camera("folder")
    with pytest.raises(CameraError, match="Did you mean 'deadline_s'"):
        open_camera("gphoto2", {"deadline": 3})
    assert FolderSettings(folder=Path()).deadline_s == 600
