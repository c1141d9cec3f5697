"""The manifest: what it holds, what it refuses, and that it says the same wherever it lies."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anyzoom.errors import CannotRead, CannotWrite, RecipeError
from anyzoom.grid import Size
from anyzoom.pairs import Frame, Scene, read_scenes
from anyzoom.pairs.manifest import (
    MANIFEST,
    FrameRow,
    Made,
    digest,
    manifest_of,
    manifest_schema,
    read_manifest,
    scenes_of,
    write_manifest,
)

ZEROS = "0" * 64
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "manifest.json"


def row(file: str = "a/x1.00.png", **fields: Any) -> FrameRow:
    whole: dict[str, Any] = {"scene": "a", "file": file, "sha256": ZEROS, "height": 8, "width": 12, "role": "hr"}
    return FrameRow(**whole | fields)


def lr(file: str = "a/x2.00.png", **fields: Any) -> FrameRow:
    made = Made(degradation="bicubic", configuration={"a": [1, 2.5]}, seed=3, draws={"sigma": 0.5, "order": [1, 2]})
    return row(file, **{"role": "lr", "height": 4, "width": 6, "nominal": 2, "made": made, "source": "a.png"} | fields)


def a_picture(path: Path, height: int, width: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), height, np.uint8)).save(path)
    return path


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    rows = [lr(scene="\u2028 line"), row(scene="\u2028 line"), row("b/1.png", scene="b", used_height=4, used_width=6)]
    write_manifest(path, rows)
    assert read_manifest(path) == rows
    assert [file.name for file in tmp_path.iterdir()] == [MANIFEST]
    lines = path.read_text("utf-8").split("\n")
    assert len(lines) == 4
    assert all(line.startswith('{"version":1,') for line in lines[:3])
    assert "null" not in lines[1]
    assert rows[2].size == Size(4, 6)
    assert rows[0].size == Size(4, 6)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", r"line 2: Invalid JSON"),
        ("", r"line 2: Invalid JSON"),
        ('{"version": 2}', r"line 2: the version is not 1, the one that this anyzoom reads. Update anyzoom.$"),
        (row().model_dump_json().replace('"height":8', '"height":0'), "line 2: height: .*greater than or equal to 1"),
        (row().model_dump_json().replace('"scene"', '"scenery"'), "line 2: scene: Field required"),
        (row().model_dump_json()[:-1] + ',"colour":1}', "line 2: colour: Extra inputs are not permitted"),
        (row().model_dump_json().replace("a/x1.00.png", "a/../../x"), "line 2: file: .*leaves the folder"),
        (row().model_dump_json().replace("a/x1.00.png", "/etc/x"), "line 2: file: .*leaves the folder"),
        (row().model_dump_json().replace(ZEROS, "0" * 63), "line 2: sha256: "),
        (lr().model_dump_json(exclude_none=True), "line 2: a/x2.00.png comes twice"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / MANIFEST
    path.write_text(f"{lr().model_dump_json(exclude_none=True)}\n{line}\n")
    with pytest.raises(CannotRead, match=expected) as refused:
        read_manifest(path)
    assert str(refused.value).startswith(f"{path}, line 2: ")


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"cannot read the manifest .*: No such file"):
        read_manifest(tmp_path / MANIFEST)
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe")
    with pytest.raises(CannotRead, match="not UTF-8"):
        read_manifest(tmp_path / MANIFEST)
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        write_manifest(tmp_path / "missing" / MANIFEST, [row()])


def test_a_failed_write_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    write_manifest(path, [row()])

    def broken() -> Any:
        yield row("b.png")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest(path, broken())
    assert read_manifest(path) == [row()]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_digest_is_of_what_is_said(tmp_path: Path) -> None:
    """Order, spaces, moved folders and null fields do not matter; any value does."""
    first, second = tmp_path / "1" / MANIFEST, tmp_path / "2" / MANIFEST
    for path in (first, second):
        path.parent.mkdir()
    write_manifest(first, [row(), lr()])
    said = [json.loads(one.model_dump_json()) for one in (lr(), row())]
    second.write_text("".join(json.dumps(dict(reversed(one.items())), indent=None) + "\n" for one in said))
    assert digest(first) == digest(second)
    write_manifest(second, [row(), lr(nominal=2.5)])
    assert digest(first) != digest(second)


def test_the_digest_in_numbers(tmp_path: Path) -> None:
    """Pinned: run folders keep digests, and must find the same data under a later version."""
    write_manifest(tmp_path / MANIFEST, [row()])
    said = (
        f'[{{"file": "a/x1.00.png", "height": 8, "role": "hr", "scene": "a", "sha256": "{ZEROS}", '
        '"split": "train", "version": 1, "width": 12}]'
    )
    assert digest(tmp_path / MANIFEST) == hashlib.sha256(said.encode()).hexdigest()


def test_scenes_of_rows() -> None:
    rows = [
        row("b/hr.png", scene="b"),
        row(),
        lr("a/x1.50.png", height=5, width=8, nominal=1.5),
        lr(),
        lr("a/same.png", height=16, width=24, used_height=2, used_width=3, nominal=4),
    ]
    root = Path("data")
    assert scenes_of(rows, root) == (
        Scene(
            "a",
            (
                Frame(root / "a/same.png", Size(2, 3), 4),
                Frame(root / "a/x2.00.png", Size(4, 6), 2),
                Frame(root / "a/x1.50.png", Size(5, 8), 1.5),
                Frame(root / "a/x1.00.png", Size(8, 12)),
            ),
        ),
        Scene("b", (Frame(root / "b/hr.png", Size(8, 12)),)),
    )


@pytest.mark.parametrize("rows", [[lr()], [row(), row("a/other.png")]])
def test_a_scene_has_one_hr(rows: list[FrameRow]) -> None:
    with pytest.raises(CannotRead, match="scene 'a' needs exactly one frame whose role is hr"):
        scenes_of(rows, Path("data"))


def test_rows_of_scenes(tmp_path: Path) -> None:
    hr, half = a_picture(tmp_path / "a/2.png", 8, 12), a_picture(tmp_path / "a/1.png", 8, 12)
    scene = Scene("a", (Frame(half, Size(4, 6), 2.0), Frame(hr, Size(8, 12))))
    rows = manifest_of([scene], tmp_path, split="test")
    assert [one.file for one in rows] == ["a/1.png", "a/2.png"]
    assert [one.role for one in rows] == ["lr", "hr"]
    assert rows[0].sha256 == hashlib.sha256(half.read_bytes()).hexdigest()
    assert (rows[0].height, rows[0].width, rows[0].used_height, rows[0].used_width) == (8, 12, 4, 6)
    assert (rows[1].used_height, rows[1].used_width) == (None, None)
    assert {one.split for one in rows} == {"test"}
    assert scenes_of(rows, tmp_path) == (scene,)
    assert manifest_of([scene], tmp_path, hashes={hr: ZEROS})[1].sha256 == ZEROS
    with pytest.raises(CannotWrite, match="lies outside of"):
        manifest_of([scene], tmp_path / "a" / "deeper")


def test_a_dataset_with_a_manifest_can_be_moved(tmp_path: Path) -> None:
    scene = Scene("a", (Frame(a_picture(tmp_path / "old/a/1.png", 8, 12), Size(8, 12)),))
    write_manifest(tmp_path / "old" / MANIFEST, manifest_of([scene], tmp_path / "old"))
    shutil.move(tmp_path / "old", tmp_path / "new")
    found = read_scenes(tmp_path / "new")
    assert found.layout == "anyzoom"
    assert found.scenes == (Scene("a", (Frame(tmp_path / "new/a/1.png", Size(8, 12)),)),)
    with pytest.raises(RecipeError, match=r"has no split 'test'. It has: train."):
        read_scenes(tmp_path / "new", split="test")


def test_the_schema_in_the_pages_is_the_one_in_force() -> None:
    """After a change: anyzoom pairs schema > docs/schemas/manifest.json"""
    assert SCHEMA.read_text("utf-8") == manifest_schema()
