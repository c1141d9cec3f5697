"""A folder of pictures, read as RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anyzoom.errors import AnyzoomError, RecipeError
from anyzoom.grid import Size
from anyzoom.image.resample import resample
from anyzoom.pairs import load_pictures
from anyzoom.pairs.pictures import load_frame, load_picture, picture_files, probe_picture
from anyzoom.pairs.scene import Frame


def save(path: Path, pixels: NDArray[Any]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def test_pictures_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    colours = {"b.png": 20, "a.bmp": 10, "C.PNG": 5}
    for name, value in colours.items():
        save(tmp_path / name, np.full((2, 3, 3), value, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.name for path in picture_files(tmp_path)] == ["C.PNG", "a.bmp", "b.png"]
    pictures = load_pictures(tmp_path)
    assert [int(picture[0, 0, 0]) for picture in pictures] == [5, 10, 20]


def test_rgb_is_kept_bit_by_bit(tmp_path: Path) -> None:
    pixels = noise(5, 7, 3)
    found = load_picture(save(tmp_path / "rgb.png", pixels))
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert np.array_equal(found, pixels)


def test_grey_is_repeated_and_alpha_ignored(tmp_path: Path) -> None:
    grey, grey_alpha, colour_alpha = noise(5, 7), noise(5, 7, 2), noise(5, 7, 4)
    found = load_picture(save(tmp_path / "grey.png", grey))
    assert np.array_equal(found, np.stack([grey] * 3, axis=-1))
    found = load_picture(save(tmp_path / "grey-alpha.png", grey_alpha))
    assert np.array_equal(found, np.stack([grey_alpha[..., 0]] * 3, axis=-1))
    found = load_picture(save(tmp_path / "colour-alpha.png", colour_alpha))
    assert np.array_equal(found, colour_alpha[..., :3])
    assert found.flags.c_contiguous


def test_more_than_eight_bits_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "deep.png", np.full((4, 4), 40_000, np.uint16))
    with pytest.raises(RecipeError, match=r"deep\.png has uint16 samples\. Convert it to 8 bits per channel"):
        load_pictures(tmp_path)
    assert path.exists()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(RecipeError, match=r"holds no picture \(\.bmp, \.jpeg, "):
        picture_files(tmp_path)
    with pytest.raises(RecipeError, match="is not a folder"):
        picture_files(tmp_path / "missing")
    with pytest.raises(RecipeError, match="is not a folder"):
        picture_files(tmp_path / "notes.txt")


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(AnyzoomError, match=r"broken\.png"):
        load_pictures(tmp_path)


def test_a_frame_is_read_at_the_size_at_which_it_is_used(tmp_path: Path) -> None:
    pixels = noise(10, 15, 3)
    path = save(tmp_path / "frame.png", pixels)
    assert np.array_equal(load_frame(Frame(path, Size(10, 15))), pixels)
    found = load_frame(Frame(path, Size(4, 6), 2.5))
    assert found.dtype == np.uint8
    shrunk = resample(pixels.astype(np.float64) / 255, size=Size(4, 6)).clip(0, 1) * 255
    np.testing.assert_allclose(found, shrunk, rtol=0, atol=0.5 + 1e-3)  # rounding, and what float32 adds to it
    for size in (Size(11, 15), Size(10, 16), Size(5, 16)):
        with pytest.raises(RecipeError, match=rf"frame\.png is 15x10, but is to be used at {size}\."):
            load_frame(Frame(path, size))


def test_a_probe_takes_what_can_be_loaded(tmp_path: Path) -> None:
    assert probe_picture(save(tmp_path / "grey.png", noise(5, 7))) == Size(5, 7)
    with pytest.raises(RecipeError, match=r"deep\.png has uint16 samples"):
        probe_picture(save(tmp_path / "deep.png", np.full((4, 4), 40_000, np.uint16)))
