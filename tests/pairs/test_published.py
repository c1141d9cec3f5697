"""Published layouts, each on a tiny imitation of its tree; and what is really here."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anyzoom.errors import AnyzoomError, CannotRead, RecipeError
from anyzoom.grid import Size
from anyzoom.image import Photo, write_image
from anyzoom.pairs.manifest import manifest_of, write_manifest
from anyzoom.pairs.published import LAYOUTS, Dataset, detect, read_scenes, splits_of
from anyzoom.pairs.published.files import common_name
from anyzoom.pairs.scene import Frame, Scene


def picture(path: Path, width: int, height: int | None = None) -> Path:
    """A grey picture of 3:2, or of that height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (height or width * 2 // 3, width)
    write_image(Photo(np.full((*size, 1), 90, np.uint8)), path, overwrite=True)
    return path


def scene(dataset: Dataset, name: str) -> Scene:
    return next(scene for scene in dataset.scenes if scene.name == name)


def names(dataset: Dataset) -> list[str]:
    return [scene.name for scene in dataset.scenes]


def files(found: Scene) -> list[str]:
    return [frame.path.name for frame in found.frames]


def factors(found: Scene) -> list[float | None]:
    return [frame.nominal for frame in found.frames]


# --- COZ


def coz_train(root: Path) -> Path:
    for name, widths in {"001": (30, 60, 45), "002": (24, 48)}.items():
        for number, width in enumerate(widths):
            picture(root / "train_LR" / name / f"frame{number}.png", width)
    return root


def coz_test(root: Path, scenes: tuple[str, ...] = ("154", "155", "157"), *, hr: str = "{}.png") -> Path:
    """HR is 120 wide. Scene 157 has no x6."""
    for name in scenes:
        picture(root / "test_HR" / hr.format(name), 120)
        for letter, scale in zip("abcde", (2, 3, 4, 5, 6), strict=True):
            if (name, scale) != ("157", 6):
                picture(root / "test_LR" / name / f"{letter}.png", 120 // scale)
    return root


def test_coz_scenes_run_from_narrow_to_wide(tmp_path: Path) -> None:
    dataset = read_scenes(coz_train(tmp_path))
    assert (dataset.layout, dataset.split, dataset.left_out) == ("coz", "train", ())
    assert names(dataset) == ["001", "002"]
    folder = tmp_path / "train_LR" / "001"
    assert dataset.scenes[0].frames == (
        Frame(folder / "frame0.png", Size(20, 30)),
        Frame(folder / "frame2.png", Size(30, 45)),
        Frame(folder / "frame1.png", Size(40, 60)),
    )


def test_coz_frames_of_equal_width_stay(tmp_path: Path) -> None:
    """The authors' loader takes them for a pair of scale 1; the later name is HR."""
    picture(coz_train(tmp_path) / "train_LR" / "001" / "last.png", 60)
    assert files(read_scenes(tmp_path).scenes[0]) == ["frame0.png", "frame2.png", "frame1.png", "last.png"]


def test_coz_frames_must_nest(tmp_path: Path) -> None:
    picture(coz_train(tmp_path) / "train_LR" / "001" / "tall.png", 40, 41)
    with pytest.raises(CannotRead, match=r"tall\.png is 40x41, and its HR, frame1\.png, is 60x40: expected no side"):
        read_scenes(tmp_path)


def test_coz_scenes_without_a_pair_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    coz_train(tmp_path)
    (tmp_path / "train_LR" / "000").mkdir()
    picture(tmp_path / "train_LR" / "003" / "alone.png", 60)
    with caplog.at_level(logging.WARNING):
        dataset = read_scenes(tmp_path)
    assert names(dataset) == ["001", "002"]
    assert [line.split(":")[0] for line in dataset.left_out] == ["scene 000", "scene 003"]
    assert [record.getMessage() for record in caplog.records] == [f"left out: {line}" for line in dataset.left_out]


def test_coz_tests_are_x2_to_x6_and_some_lack_x6(tmp_path: Path) -> None:
    dataset = read_scenes(coz_test(tmp_path), split="test")
    assert names(dataset) == ["154", "155", "157"]
    assert files(dataset.scenes[0]) == ["e.png", "d.png", "c.png", "b.png", "a.png", "154.png"]
    assert factors(dataset.scenes[0]) == [6, 5, 4, 3, 2, None]
    assert factors(dataset.scenes[2]) == [5, 4, 3, 2, None]
    assert dataset.scenes[2].frames[-1] == Frame(tmp_path / "test_HR" / "157.png", Size(80, 120))


def test_coz_added_scales_join_their_scenes(tmp_path: Path) -> None:
    coz_test(tmp_path)
    for number, width in enumerate((48, 34, 22)):
        picture(tmp_path / "test_LR_add" / "155" / f"{number}.png", width)
    dataset = read_scenes(tmp_path, split="test")
    assert factors(scene(dataset, "155")) == [6, 5.5, 5, 4, 3.5, 3, 2.5, 2, None]
    assert factors(scene(dataset, "154")) == [6, 5, 4, 3, 2, None]


@pytest.mark.parametrize("hr", ["{}.png", "{}_HR.png", "scene_0{}.png"])
def test_coz_an_empty_scene_does_not_shift_pairs_that_have_names(tmp_path: Path, hr: str) -> None:
    """By place alone, 155's LR would meet 154's HR."""
    coz_test(tmp_path, hr=hr)
    shutil.rmtree(tmp_path / "test_LR" / "154")
    (tmp_path / "test_LR" / "154").mkdir()
    dataset = read_scenes(tmp_path, split="test")
    for found in dataset.scenes:
        assert found.frames[0].path.parent.name in found.frames[-1].path.name
    assert len(dataset.scenes) == 2
    assert len(dataset.left_out) == 1
    assert "154" in dataset.left_out[0]


def test_coz_pairs_by_place_when_names_say_nothing(tmp_path: Path) -> None:
    coz_test(tmp_path, hr="{}.png")
    for number, name in enumerate(("154", "155", "157")):
        (tmp_path / "test_HR" / f"{name}.png").rename(tmp_path / "test_HR" / f"{'xyz'[number]}.png")
    (tmp_path / "test_LR" / "156").mkdir()  # the authors' loader steps over it, too
    dataset = read_scenes(tmp_path, split="test")
    assert {found.name: found.frames[0].path.parent.name for found in dataset.scenes} == {
        "x": "154",
        "y": "155",
        "z": "157",
    }
    for file in (tmp_path / "test_LR" / "155").iterdir():
        file.unlink()
    with pytest.raises(CannotRead, match=r"2 scenes, but test_HR 3 pictures.* Empty scene folders: 155, 156\."):
        read_scenes(tmp_path, split="test")


def test_coz_names_that_agree_in_part_are_refused(tmp_path: Path) -> None:
    (coz_test(tmp_path) / "test_HR" / "157.png").rename(tmp_path / "test_HR" / "158.png")
    with pytest.raises(CannotRead, match=r"test_LR/157 has no partner in \S+test_HR, where others have"):
        read_scenes(tmp_path, split="test")


def test_coz_a_scale_missing_in_the_middle_is_seen(tmp_path: Path) -> None:
    """By its place the x4 file would be x3."""
    (coz_test(tmp_path) / "test_LR" / "157" / "b.png").unlink()
    with pytest.raises(CannotRead, match=r"157/c\.png is 30x20, and its HR, 157\.png, is 120x80: .* 40x26 for x3\."):
        read_scenes(tmp_path, split="test")


def test_coz_more_files_than_scales_are_refused(tmp_path: Path) -> None:
    picture(coz_test(tmp_path) / "test_LR" / "154" / "f.png", 17)
    with pytest.raises(CannotRead, match="154 has 6 pictures, but test_LR at most 5"):
        read_scenes(tmp_path, split="test")


def test_coz_lr_larger_than_hr_is_refused(tmp_path: Path) -> None:
    picture(coz_test(tmp_path) / "test_HR" / "154.png", 15)
    with pytest.raises(CannotRead, match=r"154/\w\.png is \d+x\d+, and its HR, 154\.png, is 15x10"):
        read_scenes(tmp_path, split="test")


# --- RealArbiSR


def realarbisr(root: Path) -> Path:
    for word, hr in {"1dot5": 45, "2": 60, "3dot7": 111}.items():
        for name in ("0001.png", "0002.png"):
            picture(root / "Train" / f"LR{word}" / name, 30)
            picture(root / "Train" / f"HR{word}" / name, hr, round(hr * 2 / 3))
    return root


def test_realarbisr_has_a_scene_for_every_scale_and_name(tmp_path: Path) -> None:
    dataset = read_scenes(realarbisr(tmp_path))
    assert dataset.layout == "realarbisr"
    assert names(dataset) == ["x1.5/0001", "x1.5/0002", "x2/0001", "x2/0002", "x3.7/0001", "x3.7/0002"]
    part = tmp_path / "Train"
    assert scene(dataset, "x3.7/0002").frames == (
        Frame(part / "LR3dot7" / "0002.png", Size(20, 30), 3.7),
        Frame(part / "HR3dot7" / "0002.png", Size(74, 111)),
    )


@pytest.mark.parametrize(("side", "fits"), [(46, True), (47, True), (45, False), (48, False)])
def test_realarbisr_halves_may_be_rounded_either_way(tmp_path: Path, side: int, fits: bool) -> None:
    picture(tmp_path / "Test" / "LR1dot5" / "a.png", 31, 30)
    picture(tmp_path / "Test" / "HR1dot5" / "a.png", side, 45)
    if fits:
        assert read_scenes(tmp_path, split="test").scenes[0].frames[-1].size == Size(45, side)
    else:
        with pytest.raises(CannotRead, match=rf"LR1dot5/a\.png is 31x30, and its HR, a\.png, is {side}x45: expected"):
            read_scenes(tmp_path, split="test")


def test_realarbisr_pairs_by_place_when_names_say_nothing(tmp_path: Path) -> None:
    for name, hr in {"a": "p", "b": "q"}.items():
        picture(tmp_path / "Test" / "LR2" / f"{name}.png", 30)
        picture(tmp_path / "Test" / "HR2" / f"{hr}.png", 60)
    dataset = read_scenes(tmp_path, split="test")
    assert [files(found) for found in dataset.scenes] == [["a.png", "p.png"], ["b.png", "q.png"]]


def test_realarbisr_numbers_decide_where_names_differ(tmp_path: Path) -> None:
    """Sorted as text, 10 stands before 9."""
    for number in (9, 10):
        picture(tmp_path / "Test" / "LR2" / f"{number}.png", 30)
        picture(tmp_path / "Test" / "HR2" / f"{number:04}.png", 60)
    dataset = read_scenes(tmp_path, split="test")
    assert sorted(map(files, dataset.scenes)) == [["10.png", "0010.png"], ["9.png", "0009.png"]]


def test_realarbisr_counts_that_disagree_are_refused(tmp_path: Path) -> None:
    lost = realarbisr(tmp_path) / "Train" / "LR2" / "0001.png"
    lost.unlink()
    with pytest.raises(CannotRead, match=r"x2 has 1 LR and 2 HR pictures: \S+HR2/0001\.png has no LR"):
        read_scenes(tmp_path)
    shutil.rmtree(lost.parent)
    with pytest.raises(CannotRead, match="x2 has 0 LR and 2 HR pictures"):
        read_scenes(tmp_path)


def test_shifted_names_are_refused(tmp_path: Path) -> None:
    """As many, but not the same: by place each would meet the next scene."""
    (realarbisr(tmp_path) / "Train" / "HR2" / "0001.png").rename(tmp_path / "Train" / "HR2" / "0003.png")
    with pytest.raises(CannotRead, match=r"LR2/0001\.png has no partner in \S+HR2"):
        read_scenes(tmp_path)


def test_two_scenes_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a_x1.png", "a_x2.png"):
        picture(tmp_path / "Train" / "LR2" / name, 30)
        picture(tmp_path / "Train" / "HR2" / name, 60)
    with pytest.raises(CannotRead, match="2 scenes are called x2/a"):
        read_scenes(tmp_path)


# --- RealSR, DRealSR


def realsr(root: Path, *, same_grid: bool = False) -> Path:
    for camera in ("Canon", "Nikon"):
        for scale in (2, 3, 4):
            folder = root / camera / "Test" / str(scale)
            picture(folder / f"{camera}_001_HR.png", 120)
            picture(folder / f"{camera}_001_LR{scale}.png", 120 if same_grid else 120 // scale)
    return root


@pytest.mark.parametrize("same_grid", [False, True])
def test_realsr_in_both_versions(tmp_path: Path, same_grid: bool) -> None:
    """Version 3 stores LR at its own size, versions 1 and 2 on HR's grid: used at the same size."""
    dataset = read_scenes(realsr(tmp_path / "RealSR(V3)", same_grid=same_grid).parent, split="test")
    assert dataset.layout == "realsr"
    assert names(dataset) == [f"x{scale}/{camera}/{camera}_001" for scale in (2, 3, 4) for camera in ("Canon", "Nikon")]
    assert files(scene(dataset, "x3/Nikon/Nikon_001")) == ["Nikon_001_LR3.png", "Nikon_001_HR.png"]
    for found in dataset.scenes:
        nominal = int(found.name[1])
        assert [frame[1:] for frame in found.frames] == [
            (Size(80 // nominal, 120 // nominal), nominal),
            (Size(80, 120), None),
        ]


def test_realsr_a_scale_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    picture(realsr(tmp_path) / "Canon" / "Test" / "3" / "Canon_001_LR3.png", 60)
    with pytest.raises(CannotRead, match=r"Canon_001_LR3\.png is 60x40, .* is 120x80: expected about 40x26 for x3\."):
        read_scenes(tmp_path, split="test")


def test_realsr_a_name_without_a_role_is_refused(tmp_path: Path) -> None:
    picture(realsr(tmp_path) / "Canon" / "Test" / "3" / "preview.png", 60)
    with pytest.raises(CannotRead, match=r"preview\.png: its name does not end in _HR or _LR"):
        read_scenes(tmp_path, split="test")


@pytest.mark.parametrize("deep", [".", "Test_x4", "DRealSR/x4/Test_x4"])
def test_drealsr_pairs_up_to_the_suffix_and_at_any_depth(tmp_path: Path, deep: str) -> None:
    """In sorted order Canon_10_x1 and Canon_9 would stand elsewhere."""
    part = tmp_path / deep / "Test_x4"
    for name in ("Canon_10", "Canon_9"):
        picture(part / "test_LR" / f"{name}_x1.png", 30)
        picture(part / "test_HR" / f"{name}_x4.png", 120)
    dataset = read_scenes(tmp_path, split="test")
    assert dataset.layout == "drealsr"
    assert names(dataset) == ["x4/Canon_10", "x4/Canon_9"]
    assert files(dataset.scenes[1]) == ["Canon_9_x1.png", "Canon_9_x4.png"]
    assert factors(dataset.scenes[1]) == [4, None]
    assert read_scenes(part, split="test") == dataset


def test_drealsr_has_three_scales_and_two_splits(tmp_path: Path) -> None:
    for scale in (2, 3, 4):
        picture(tmp_path / f"Train_x{scale}" / "train_LR" / "P1_x1_7.png", 24)
        picture(tmp_path / f"Train_x{scale}" / "train_HR" / f"P1_x{scale}_7.png", 24 * scale)
    assert names(read_scenes(tmp_path)) == ["x2/P1_7", "x3/P1_7", "x4/P1_7"]
    with pytest.raises(RecipeError, match="no scene for the split 'test' of drealsr"):
        read_scenes(tmp_path, split="test")


# --- City100


@pytest.mark.parametrize(
    ("folders", "pattern"),
    [(("nikon", "iphone"), "{:03}_{}R.png"), (("City100_NikonD5500", "City100_iPhoneX"), "{:03}{}.PNG")],
)
def test_city100_as_shared_and_as_released(tmp_path: Path, folders: tuple[str, str], pattern: str) -> None:
    for folder, width, height in zip(folders, (58, 50), (29, 25), strict=True):
        for number in (4, 20, 21, 80):
            for role in "LH":
                picture(tmp_path / folder / pattern.format(number, role), width, height)
    train = read_scenes(tmp_path)
    assert train.layout == "city100"
    assert names(train) == ["iphone/004", "iphone/021", "nikon/004", "nikon/021"]
    assert names(read_scenes(tmp_path, split="validation")) == ["iphone/020", "iphone/080", "nikon/020", "nikon/080"]
    assert [frame[1:] for frame in train.scenes[0].frames] == [(Size(10, 20), 2.5), (Size(25, 50), None)]
    assert [frame[1:] for frame in train.scenes[2].frames] == [(Size(10, 20), 2.9), (Size(29, 58), None)]
    assert [common_name(frame.path) for frame in train.scenes[3].frames] == ["021", "021"]


def test_city100_as_it_is(shared: Path) -> None:
    folder = shared / "data" / "pairs"
    train, validation = read_scenes(folder), read_scenes(folder / "City100", split="validation")
    assert train.layout == validation.layout == "city100"
    assert (len(train.scenes), len(validation.scenes)) == (40, 8)
    assert not {found.name for found in train.scenes} & {found.name for found in validation.scenes}
    nikon, iphone = scene(validation, "nikon/040"), scene(validation, "iphone/040")
    assert [frame.size for frame in nikon.frames] == [Size(300, 420), Size(870, 1218)]
    assert [frame.size for frame in iphone.frames] == [Size(240, 336), Size(600, 840)]


# --- any pictures


def test_hr_takes_the_pictures_inside(tmp_path: Path) -> None:
    picture(tmp_path / "b.png", 30)
    picture(tmp_path / "a.PNG", 33)
    picture(tmp_path / "deeper" / "c.png", 36)
    dataset = read_scenes(tmp_path)
    assert dataset.layout == "hr"
    assert [(found.name, found.frames[0].size) for found in dataset.scenes] == [
        ("a", Size(22, 33)),
        ("b", Size(20, 30)),
    ]
    assert all(len(found.frames) == 1 for found in dataset.scenes)
    assert read_scenes(tmp_path, split="test").scenes == dataset.scenes  # such a folder has no splits


def test_hr_looks_below_where_there_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "c.png", 36)
    picture(tmp_path / "other" / "deep" / "c.png", 36)
    picture(tmp_path / "other" / "deep" / "c.webp", 36)
    picture(tmp_path / "__MACOSX" / "d.png", 36)
    assert names(read_scenes(tmp_path)) == ["other/deep/c.png", "other/deep/c.webp", "set/c"]


def test_hr_does_not_take_lr_for_hr(tmp_path: Path) -> None:
    picture(tmp_path / "DIV2K_train_HR" / "0001.png", 60)
    picture(tmp_path / "DIV2K_train_LR_bicubic" / "X2" / "0001x2.png", 30)
    with pytest.raises(RecipeError, match=r"HR and LR pictures, \S+0001x2\.png for one\. Name the folder of HR"):
        read_scenes(tmp_path)
    assert names(read_scenes(tmp_path / "DIV2K_train_HR")) == ["0001"]
    for role in "HL":
        picture(tmp_path / "City100_iPhoneX" / f"001{role}.PNG", 60)
    with pytest.raises(RecipeError, match=r"HR and LR pictures, \S+001L\.PNG for one"):
        read_scenes(tmp_path / "City100_iPhoneX")
    picture(tmp_path / "Lightroom" / "cat-LR.png", 60)  # a name alone says nothing
    assert names(read_scenes(tmp_path / "Lightroom")) == ["cat-LR"]


def test_the_training_pictures_as_they_are(shared: Path) -> None:
    folder = shared / "data" / "train"
    dataset = read_scenes(folder)
    assert dataset.layout == "hr"
    assert len(dataset.scenes) == 342
    assert dataset.left_out == (f"{folder / 'SOURCES.csv'}: not a picture.",)
    for found in dataset.scenes[::60]:
        with Image.open(found.frames[0].path) as opened:
            assert found.frames[0].size == Size(opened.height, opened.width)


# --- what cannot be used


def damaged(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-20])
    return path


def test_a_truncated_picture_is_named_or_skipped(tmp_path: Path) -> None:
    bad = damaged(realarbisr(tmp_path) / "Train" / "LR2" / "0001.png")
    with pytest.raises(
        CannotRead, match=r"LR2/0001\.png.*truncated PNG.* leave such files out with --skip-unread"
    ) as no:
        read_scenes(tmp_path)
    assert "such files." not in str(no.value)
    dataset = read_scenes(tmp_path, skip_unreadable=True)
    assert names(dataset) == ["x1.5/0001", "x1.5/0002", "x2/0002", "x3.7/0001", "x3.7/0002"]
    assert dataset.left_out[0].startswith(f"{bad}: ")
    assert dataset.left_out[1:] == ("scene x2/0001: no pair that can be used.",)


def test_skipping_shifts_no_pair(tmp_path: Path) -> None:
    """Names say nothing here, and the first LR is damaged."""
    for name, hr in {"a": "p", "b": "q", "c": "r"}.items():
        picture(tmp_path / "Train" / "LR2" / f"{name}.png", 30)
        picture(tmp_path / "Train" / "HR2" / f"{hr}.png", 60)
    damaged(tmp_path / "Train" / "LR2" / "a.png")
    damaged(tmp_path / "Train" / "HR2" / "r.png")
    with pytest.raises(CannotRead, match="It is the first of 2 such files"):
        read_scenes(tmp_path)
    dataset = read_scenes(tmp_path, skip_unreadable=True)
    assert [files(found) for found in dataset.scenes] == [["b.png", "q.png"]]


def test_a_skipped_frame_leaves_the_others_of_its_scene(tmp_path: Path) -> None:
    damaged(coz_train(tmp_path) / "train_LR" / "001" / "frame1.png")  # the widest
    damaged(tmp_path / "train_LR" / "002" / "frame0.png")
    dataset = read_scenes(tmp_path, skip_unreadable=True)
    assert [files(found) for found in dataset.scenes] == [["frame0.png", "frame2.png"]]
    assert dataset.left_out[-1] == "scene 002: no pair that can be used."


def test_nothing_left_is_no_dataset(tmp_path: Path) -> None:
    damaged(picture(tmp_path / "a.png", 30))
    with pytest.raises(RecipeError, match=r"no scene for the split 'train' of hr\..* Left out: \S+a\.png"):
        read_scenes(tmp_path, skip_unreadable=True)


def test_what_is_no_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = coz_train(tmp_path) / "train_LR" / "001"
    (folder / "notes.txt").write_text("no picture")
    (folder / "._frame0.png").write_bytes(b"left behind by an archive")
    dataset = read_scenes(tmp_path)
    assert dataset.left_out == (f"{folder / 'notes.txt'}: not a picture.",)
    (folder / "notes.txt").rename(folder / "notes.png")
    with pytest.raises(CannotRead, match=r"notes\.png: a text that starts with 'no picture'"):
        read_scenes(tmp_path)


def test_more_than_eight_bits_are_seen_before_training(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(CannotRead, match=r"deep\.png has uint16 samples\. Convert it to 8 bits"):
        read_scenes(tmp_path)


# --- the table


def test_a_wrong_layout_is_explained(tmp_path: Path) -> None:
    realarbisr(tmp_path)
    with pytest.raises(RecipeError, match=r"is not laid out as coz\. Found: Train/\. Expected: train_LR/SCENE/FRAMES"):
        read_scenes(tmp_path, "coz")
    with pytest.raises(RecipeError, match=r"unknown layout 'realarbi'\. Known: .*, coz, .* mean 'realarbisr'\?"):
        read_scenes(tmp_path, "realarbi")
    with pytest.raises(RecipeError, match=r"realarbisr has no split 'val'\. It has: train, test\."):
        read_scenes(tmp_path, split="val")


def test_no_layout_at_all_is_explained(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(RecipeError, match=r"Found: 0\.txt, .*, 4\.txt and 2 more\. Expected one .*: coz: .* hr: "):
        detect(tmp_path)
    for absent in (tmp_path / "missing", tmp_path / "0.txt"):
        with pytest.raises(RecipeError, match="It is not a folder"):
            detect(absent)
        with pytest.raises(RecipeError, match="It is not a folder"):
            read_scenes(absent, "hr")


def test_two_datasets_in_one_folder_are_not_guessed(tmp_path: Path) -> None:
    coz_train(tmp_path / "COZ")
    coz_train(tmp_path / "COZv2_add")
    with pytest.raises(RecipeError, match=r"holds several datasets: COZ, COZv2_add\. Name one\."):
        read_scenes(tmp_path)
    assert names(read_scenes(tmp_path / "COZ")) == ["001", "002"]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "hr"])
def test_a_missing_split_is_explained(tmp_path: Path, layout: str) -> None:
    made = {"coz": coz_train, "realarbisr": realarbisr, "realsr": realsr}
    if layout == "drealsr":
        picture(tmp_path / "Train_x2" / "train_LR" / "a.png", 30)
        picture(tmp_path / "Train_x2" / "train_HR" / "a.png", 60)
    elif layout == "city100":
        picture(tmp_path / "nikon" / "001_LR.png", 58)
        picture(tmp_path / "nikon" / "001_HR.png", 58)
    else:
        made[layout](tmp_path)
    assert detect(tmp_path) == layout
    absent = {"realsr": "train", "city100": "validation"}.get(layout, "test")
    with pytest.raises(AnyzoomError, match=f"no scene for the split '{absent}' of {layout}"):
        read_scenes(tmp_path, split=absent)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CannotRead, match=rf"{tmp_path} cannot be listed \(Permission denied\)"):
        read_scenes(tmp_path)


def test_splits_of_a_dataset(tmp_path: Path) -> None:
    write_image(Photo(np.zeros((9, 9, 3), np.uint8)), tmp_path / "a.png")
    assert splits_of(tmp_path) == ()
    rows = manifest_of(read_scenes(tmp_path).scenes, tmp_path, split="test")
    write_manifest(tmp_path / "manifest.jsonl", rows)
    assert splits_of(tmp_path) == ("test",)
