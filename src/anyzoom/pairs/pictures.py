"""A folder of high-resolution pictures, decoded once into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyzoom.errors import RecipeError
from anyzoom.image import read_image

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
    if pixels.dtype != np.uint8:
        raise RecipeError(f"{path} has {pixels.dtype} samples. Convert it to 8 bits per channel first.")
    colours = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(colours, dtype=np.uint8)


def load_pictures(folder: Path) -> list[NDArray[np.uint8]]:
    """All pictures of a folder as RGB `h w 3`, in the order of their names."""
    return [load_picture(path) for path in picture_files(folder)]
