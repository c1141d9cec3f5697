"""Which pictures go where, judged by plain versions of the published loaders' indexing."""

from __future__ import annotations

import pytest

from anyzoom.align.layouts import LAYOUTS, nearest, plan, scene_name, wanted_scales
from anyzoom.errors import ScaleError

RUN = [6.02, 4.97, 4.01, 3.52, 2.98, 2.51, 1.99, 1.6, 1.2]


def test_coz_training_takes_every_frame() -> None:
    (group,), notes = plan("coz", "s", "train", (), [2.5, 1.5])
    assert notes == []
    assert group.scene == "s"
    assert group.exact is None
    assert [(place.frame, place.file, place.nominal) for place in group.lr] == [
        (0, "train_LR/s/x2.5000.png", None),
        (1, "train_LR/s/x1.5000.png", None),
    ]
    assert group.hr == "train_LR/s/x1.0000.png"
    assert plan("coz", "s", "train", (), []) == ([], [])


def test_coz_test_files_stand_where_the_loader_looks() -> None:
    """It reads scale n as the (n - 2)th file in sorted order; and 2.5, 3.5, 5.5 as the first three of the others."""
    (group,), notes = plan("coz", "s", "test", (), RUN)
    files = sorted(place.file for place in group.lr)
    frame_of = {place.file: place.frame for place in group.lr}
    first = [file for file in files if file.startswith("test_LR/s/")]
    assert [RUN[frame_of[first[n - 2]]] for n in (2, 3, 4, 5, 6)] == [1.99, 2.98, 4.01, 4.97, 6.02]
    added = [file for file in files if file.startswith("test_LR_add/s/")]
    assert [RUN[frame_of[file]] for file in added] == [2.51, 3.52]
    assert group.hr == "test_HR/s.png"
    assert notes == ["no x5.5: the nearest frame is x6.020."]


def test_coz_leaves_out_what_a_missing_scale_would_shift() -> None:
    (group,), notes = plan("coz", "s", "test", (), [4.0, 2.0])
    assert [place.nominal for place in group.lr] == [2.0]
    assert "no x4: a smaller scale is missing, and the loader goes by place." in notes
    assert "no x3: the nearest frame is x4.000." in notes
    assert plan("coz", "s", "test", (), [4.0])[0] == []
    assert plan("coz", "s", "test", (), [2.5])[0] == []  # test_HR would have a picture that test_LR has no folder for


@pytest.mark.parametrize(("split", "scales"), [("train", 6), ("test", 11)])
def test_realarbisr_has_an_hr_for_every_scale(split: str, scales: int) -> None:
    measured = [4, 3.7, 3.5, 3.3, 3, 2.7, 2.5, 2.3, 2, 1.7, 1.5]
    groups, notes = plan("realarbisr", "s", split, (), measured)  # type: ignore[arg-type]
    assert (len(groups), notes) == (scales, [])
    for group in groups:
        (place,) = group.lr
        word = {1.5: "1dot5", 2.0: "2", 3.7: "3dot7"}.get(group.exact or 0)
        assert measured[place.frame] == place.nominal == group.exact
        if word:
            part = split.capitalize()
            assert (place.file, group.hr) == (f"{part}/LR{word}/s.png", f"{part}/HR{word}/s.png")


def test_realsr() -> None:
    groups, _ = plan("realsr", "s", "train", (2.0,), [3.0, 2.05])
    assert [(group.scene, group.exact, group.lr[0].file, group.hr) for group in groups] == [
        ("x2/Canon/s", 2.0, "Canon/Train/2/s_LR2.png", "Canon/Train/2/s_HR.png")
    ]


def test_the_nearest_frame_within_three_percent() -> None:
    assert nearest([2.0, 3.0, 4.0], [4.13, 3.08, 2.96, 2.0]) == {2.0: 3, 3.0: 2}
    assert nearest([2.0], []) == {}


def test_scales_without_a_place_are_refused() -> None:
    assert wanted_scales("realarbisr", "train", (3.0, 1.5, 1.7)) == (1.5, 3.0)
    with pytest.raises(ScaleError, match=r"coz has no place for x7. It has: 2, 2.5, 3, 3.5, 4, 5, 5.5, 6."):
        wanted_scales("coz", "test", (2.0, 7.0))


@pytest.mark.parametrize("names", [("a", "a-b", "a b"), ("wall", "wall.2", "wall+"), ("1", "10", "2")])
def test_scenes_sort_alike_as_folders_and_as_files(names: tuple[str, ...]) -> None:
    plain = [scene_name(name) for name in names]
    assert sorted(plain) == [file.removesuffix(".png") for file in sorted(f"{name}.png" for name in plain)]


def test_without_that_they_would_not() -> None:
    assert sorted(("a", "a-b")) != [file.removesuffix(".png") for file in sorted(("a.png", "a-b.png"))]


def test_every_layout_has_places() -> None:
    for name in LAYOUTS:
        assert plan(name, "s", "test", (), RUN)[0]
