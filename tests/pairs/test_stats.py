"""What a dataset holds, in numbers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from anyzoom.errors import CannotRead
from anyzoom.pairs.aligned import SCENES, AlignedScene, Rejection
from anyzoom.pairs.stats import Box, as_csv, figure, histogram, statistics_of


def a_dataset(folder: Path) -> Path:
    """COZ's tree: one training scene of x4, x2 and x1.25, one test scene of x2."""
    for file, side in (
        ("train_LR/a/x4.png", 50),
        ("train_LR/a/x2.png", 100),
        ("train_LR/a/x1.25.png", 160),
        ("train_LR/a/x1.png", 200),
        ("test_LR/b/x2.png", 60),
        ("test_HR/b.png", 120),
    ):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((side, side, 3), side, np.uint8)).save(path)
    return folder


def test_numbers(tmp_path: Path) -> None:
    stats = statistics_of(a_dataset(tmp_path))
    assert [(scene.name, scene.split, scene.factors) for scene in stats.scenes] == [
        ("a", "train", (4, 2, 1.25)),
        ("b", "test", (2,)),
    ]
    assert stats.factors == [1.25, 2, 2, 4]
    assert stats.box == Box(1.25, 1.8125, 2, 2.5, 4)
    assert stats.frames == {2: 1, 4: 1}
    assert stats.kinds == {"untagged": 2}
    assert stats.gates == {}
    assert as_csv(stats) == (
        "scene,split,kind,frames,factor_min,factor_median,factor_max\n"
        "a,train,untagged,4,1.2500,2.0000,4.0000\n"
        "b,test,untagged,2,2.0000,2.0000,2.0000\n"
    )


def test_single_pictures_have_no_factors(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "1.png")
    stats = statistics_of(tmp_path)
    assert (stats.factors, stats.box, stats.frames) == ([], None, {1: 1})
    assert as_csv(stats).splitlines()[1] == "1,train,untagged,1,,,"
    ElementTree.fromstring(figure(stats))


def test_kinds_are_those_of_a_file(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path / "set")
    kinds = tmp_path / "kinds.csv"
    kinds.write_text("scene,kind\na, plants & trees\n")
    stats = statistics_of(folder, kinds=kinds)
    assert stats.kinds == {"plants & trees": 1, "untagged": 1}
    assert "plants &amp; trees: 1" in figure(stats)
    kinds.write_text("a\n")
    with pytest.raises(CannotRead, match=r"kinds.csv, line 1: 1 columns. Write two"):
        statistics_of(folder, kinds=kinds)
    kinds.write_text("c,plants\n")
    with pytest.raises(CannotRead, match=r"tags 'c', which is no scene of"):
        statistics_of(folder, kinds=kinds)
    with pytest.raises(CannotRead, match=r"cannot read the kinds of scenes"):
        statistics_of(folder, kinds=tmp_path / "none.csv")


def test_gates_are_counted(tmp_path: Path) -> None:
    rejected = tuple(
        Rejection(scene="a", frame=f"{i}.jpg", gate=gate, measured=1, limit=0, cause="", remedy="")
        for i, gate in enumerate(("psnr", "rmse", "rmse"))
    )
    scene = AlignedScene(
        scene="a", folder="a", split="train", frames=6, pairs=3, rejected=rejected, parameters="0" * 64
    )
    (a_dataset(tmp_path) / SCENES).write_text(scene.model_dump_json() + "\n")
    stats = statistics_of(tmp_path)
    assert list(stats.gates.items()) == [("rmse", 2), ("psnr", 1)]
    assert "rmse: 2" in figure(stats)


def test_bins_begin_at_one() -> None:
    assert histogram([1, 1.2, 1.25, 2.0]) == [(1, 2), (1.25, 1), (1.5, 0), (1.75, 0), (2, 1)]


def test_the_figure_shows_every_frame(tmp_path: Path) -> None:
    """Bars are as high as their counts, the box lies where the quarters are."""
    drawn = ElementTree.fromstring(figure(statistics_of(a_dataset(tmp_path))))
    told = {
        title.text or "": rect
        for rect in drawn.iter("{http://www.w3.org/2000/svg}rect")
        for title in rect.iter("{http://www.w3.org/2000/svg}title")
    }
    heights = {name: float(rect.attrib["height"]) for name, rect in told.items() if name.startswith("x")}
    assert heights["x2 to x2.25: 2"] == 2 * heights["x4 to x4.25: 1"] == 2 * heights["x1.25 to x1.5: 1"]
    assert sum(int(name.rsplit(" ", 1)[1]) for name in heights) == 4
    assert "quarters and median: x1.81, x2.00, x2.50" in told
