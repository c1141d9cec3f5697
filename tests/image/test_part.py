"""Parts and their targets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anyzoom.errors import CannotWrite
from anyzoom.image.part import new_part, publish, same_file


def test_two_writers_of_one_target_do_not_mix(tmp_path: Path) -> None:
    part = new_part(tmp_path / "a")
    with pytest.raises(CannotWrite, match="being written already"):
        new_part(tmp_path / "a")
    assert part.name == f".a.{os.getpid()}.part"


def test_publishing_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    target = tmp_path / "a"
    publish(target, new_part(target), target, overwrite=False)
    with pytest.raises(CannotWrite, match="exists already"):
        publish(target, new_part(target), target, overwrite=False)


def test_same_file_sees_through_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").symlink_to("a")
    assert same_file(tmp_path / "a", tmp_path / "b")
    assert not same_file(tmp_path / "a", tmp_path / "missing")
