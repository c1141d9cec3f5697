"""The dataset's card."""

from __future__ import annotations

from pathlib import Path

from tests.pairs.test_aligned import ZEROS, aligned, row

from anyzoom.align.card import write_card
from anyzoom.pairs.aligned import SCENES, AlignedScene, Rejection
from anyzoom.pairs.manifest import MANIFEST, write_manifest


def a_dataset(folder: Path) -> Path:
    splits = {"a": ("train", 1), "b": ("train", 1), "c": ("test", 1), "d": ("train", 0)}
    rows, scenes = [], []
    for name, (split, pairs) in splits.items():
        if pairs:
            rows += [row(scene=name, file=f"{name}/x4.png", split=split)]
            rows += [row(scene=name, file=f"{name}/x1.png", split=split, role="hr", aligned=None)]
        failed = tuple(
            Rejection(scene=name, frame="1.jpg", gate=gate, measured=0, limit=1, cause="", remedy="")
            for gate in (() if pairs else ("cells", "inliers"))
        )
        scenes.append(
            AlignedScene(scene=name, folder=name, split=split, frames=2, pairs=pairs, rejected=failed, parameters=ZEROS)
        )
    write_manifest(folder / MANIFEST, rows)
    (folder / SCENES).write_text("".join(scene.model_dump_json() + "\n" for scene in scenes))
    return folder


def test_scenes_belong_to_one_split(tmp_path: Path) -> None:
    card = write_card(a_dataset(tmp_path), "CC-BY-4.0").read_text("utf-8")
    assert "\nlicence: CC-BY-4.0\n" in card
    assert "| train | 2 | 2 |\n" in card
    assert "| test | 1 | 1 |\n" in card
    assert "- train: a, b\n" in card
    assert "- test: c\n" in card
    assert "| scale | 4.010 | 4.010 | 4.010 |" in card
    assert "1 photographs were rejected, 1 scenes lost." in card
    assert "resampled once (Lanczos-4)" in card


def test_the_licence_stays_until_another_is_named(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path)
    assert "\nlicence: unstated\n" in write_card(folder).read_text("utf-8")
    write_card(folder, "CC0-1.0")
    assert "\nlicence: CC0-1.0\n" in write_card(folder).read_text("utf-8")
    assert "unstated" not in write_card(folder, "My own\nterms").read_text("utf-8")
    assert "\nlicence: My own terms\n" in write_card(folder).read_text("utf-8")


def test_it_says_what_was_done(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path)
    write_manifest(folder / MANIFEST, [row(aligned=aligned(kernel="crop-only", luminance="none", method="ecc"))])
    card = write_card(folder).read_text("utf-8")
    assert "cut out without resampling" in card
    assert "Registered by ecc" in card
    assert "brightness matched by nothing" in card
