"""Pictures on the disk as 8-bit RGB: whole folders of them, and frames at the size at which they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.errors import RecipeError
from anyzoom.grid import Size
from anyzoom.image import probe_image, read_image
from anyzoom.image.resample import resample
from anyzoom.pairs.scene import Frame

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


def picture_files(folder: Path) -> list[Path]:
    """The pictures directly inside a folder, sorted by name. Raises RecipeError when there are none."""
    if not folder.is_dir():
        raise RecipeError(f"{folder} is not a folder. Name a folder of high-resolution pictures.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise RecipeError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))}).")
    return files


def load_picture(path: Path) -> NDArray[np.uint8]:
    """One 8-bit picture as RGB `h w 3`; grey is repeated, alpha is ignored."""
    pixels = read_image(path).pixels
    _check_depth(path, pixels.dtype)
    colours = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(colours, dtype=np.uint8)


def load_frame(frame: Frame) -> NDArray[np.uint8]:
    """A frame at the size at which it is used, as RGB `h w 3`; shrunk by MATLAB's bicubic where its file is larger.

    Raises CannotRead for a file that cannot be read, RecipeError for one that is too small or not of 8 bits.
    """
    picture = load_picture(frame.path)
    size = Size(*picture.shape[:2])
    if size == frame.size:
        return picture
    if size.height < frame.size.height or size.width < frame.size.width:
        raise RecipeError(f"{frame.path} is {size}, but is to be used at {frame.size}. Read its dataset again.")
    shrunk = resample(picture.astype(np.float32) / np.float32(255), size=frame.size)
    codes: NDArray[np.uint8] = np.rint(shrunk.clip(0, 1) * 255).astype(np.uint8)
    return codes


def probe_picture(path: Path) -> Size:
    """The size of a picture that `load_picture` will take, from its header alone. Raises as that does."""
    layout = probe_image(path)
    _check_depth(path, layout.dtype)
    return layout.size


def _check_depth(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype != np.uint8:
        raise RecipeError(f"{path} has {dtype} samples. Convert it to 8 bits per channel first.")


def load_pictures(folder: Path) -> list[NDArray[np.uint8]]:
    """All pictures of a folder as RGB `h w 3`, in the order of their names."""
    return [load_picture(path) for path in picture_files(folder)]
