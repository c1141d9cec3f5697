"""Which photos, and where each result goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anyzoom.errors import CannotRead, CannotWrite
from anyzoom.zoom.batch import Item, plan


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def planned(inputs: list[str], output: str, format: str | None = None) -> list[tuple[str, str]]:
    items = plan(map(Path, inputs), output, format)
    return [(item.source.as_posix(), item.target.as_posix()) for item in items]


def test_one_file_goes_where_it_is_told() -> None:
    touch("a.jpg")
    assert planned(["a.jpg"], "b.png") == [("a.jpg", "b.png")]
    assert planned(["a.jpg"], "new/b.png") == [("a.jpg", "new/b.png")]
    assert planned(["missing.jpg"], "b.png") == [("missing.jpg", "b.png")]  # the reader will say so
    assert planned(["a.jpg"], "b", "png") == [("a.jpg", "b")]


def test_one_file_into_a_folder() -> None:
    touch("a.jpg", "out/x.txt")
    assert planned(["a.jpg"], "out") == [("a.jpg", "out/a.jpg")]
    assert planned(["a.jpg"], "new/") == [("a.jpg", "new/a.jpg")]  # a slash means a folder
    assert planned(["a.jpg"], "new/", "png") == [("a.jpg", "new/a.png")]


def test_several_files_go_into_a_folder() -> None:
    touch("a.jpg", "sub/b.PNG")
    assert planned(["a.jpg", "sub/b.PNG", "missing.tif"], "out") == [
        ("a.jpg", "out/a.jpg"),
        ("sub/b.PNG", "out/b.PNG"),
        ("missing.tif", "out/missing.tif"),
    ]


def test_folders_are_mirrored() -> None:
    touch("in/b.jpg", "in/a.TIFF", "in/notes.txt", "in/x/c.webp", "in/x/y/d.heic", "in/.hidden.png", "in/.git/e.png")
    assert planned(["in"], "out") == [
        ("in/a.TIFF", "out/a.TIFF"),
        ("in/b.jpg", "out/b.jpg"),
        ("in/x/c.webp", "out/x/c.webp"),
        ("in/x/y/d.heic", "out/x/y/d.tif"),
    ]
    assert planned(["in/x", "in/b.jpg"], "out", "jpg") == [
        ("in/x/c.webp", "out/c.jpg"),
        ("in/x/y/d.heic", "out/y/d.jpg"),
        ("in/b.jpg", "out/b.jpg"),
    ]


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.NEF", "a.dng", "a.cr3", "a.pbm"])
def test_kinds_that_cannot_be_written_become_tiff(name: str) -> None:
    touch(name, "out/x")
    assert planned([name], "out") == [(name, "out/a.tif")]
    assert planned([name], "out", "avif") == [(name, "out/a.avif")]


def test_results_inside_the_input_folder_are_no_input() -> None:
    touch("in/a.png", "in/x/b.png", "in/large/a.png", "in/x/large/c.png")
    assert planned(["in"], "in/large") == [
        ("in/a.png", "in/large/a.png"),
        ("in/x/b.png", "in/large/x/b.png"),
        ("in/x/large/c.png", "in/large/x/large/c.png"),
    ]
    Path("link").symlink_to("in/large")
    assert len(planned(["in"], "link")) == 3


def test_the_same_photo_twice_is_done_once() -> None:
    touch("in/a.png")
    assert planned(["in", "in/a.png", "./in/a.png"], "out") == [("in/a.png", "out/a.png")]


@pytest.mark.parametrize(
    ("inputs", "format"), [(["x/a.png", "y/a.png"], None), (["x", "y"], None), (["x/a.png", "x/a.heic"], "tiff")]
)
def test_two_photos_never_get_one_name(inputs: list[str], format: str | None) -> None:
    touch("x/a.png", "x/a.heic", "y/a.png")
    with pytest.raises(CannotWrite, match=r"x/a\.\w+ and .* would both become out/a"):
        planned(inputs, "out", format)


def test_a_file_cannot_hold_several_photos() -> None:
    touch("a.png", "b.png", "file", "in/c.png")
    for inputs in (["a.png", "b.png"], ["in"]):
        with pytest.raises(CannotWrite, match=r"file is a file. Several photos need a folder"):
            planned(inputs, "file")


def test_a_folder_without_pictures_is_told() -> None:
    touch("in/notes.txt", "more/a.png")
    with pytest.raises(CannotRead, match="in holds no picture"):
        planned(["more", "in"], "out")


def test_a_folder_that_cannot_be_listed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not taken for an empty one."""
    touch("in/a.png", "in/closed/b.png")
    scandir = os.scandir

    def refusing(path: Any) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(CannotRead, match=r"in/closed: this folder cannot be listed \(Permission denied\)"):
        planned(["in"], "out")


def test_a_name_too_long_for_the_system_is_left_to_who_opens_it() -> None:
    touch("a.png")
    name = 300 * "x" + ".png"
    assert planned([name], "b.png") == [(name, "b.png")]
    assert planned(["a.png"], name) == [("a.png", name)]
    assert planned(["a.png", "b.png"], 300 * "x")[0] == ("a.png", 300 * "x" + "/a.png")


def test_unknown_formats_are_refused_before_any_work() -> None:
    touch("in/a.png")
    with pytest.raises(CannotWrite, match="format 'gif' is unknown"):
        planned(["in"], "out", "gif")


def test_what_is_done_already() -> None:
    touch("a.png", "out/a.png")
    Path("link.png").symlink_to("a.png")
    assert Item(Path("a.png"), Path("out/a.png")).done
    assert not Item(Path("a.png"), Path("b.png")).done
    assert not Item(Path("a.png"), Path("a.png")).done  # the photo itself is no result
    assert not Item(Path("a.png"), Path("link.png")).done
    assert not Item(Path("a.png"), Path(300 * "x")).done
