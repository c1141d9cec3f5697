"""How long it takes to align one long scene of large photographs, and how much memory.

    python benchmarks/alignment.py PICTURES [--frames 60] [--size 6000x4000] [--zoom 4]

A mosaic of the folder's pictures is photographed from the widest to the longest focal length, each time a little aside
and with the area of every pixel averaged; then `anyzoom align` makes a dataset of it in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anyzoom.grid import Size
from anyzoom.pairs.pictures import SUFFIXES, load_picture

ASIDE = 5  # pixels of the mosaic that a frame lies aside, at most
EXIF, FOCAL_LENGTH = 0x8769, 0x920A  # tags
TELE_MM = 140.0
BLUR = 0.45  # pixels of the frame


def mosaic(pictures: Path, size: Size) -> NDArray[np.uint8]:
    """Of the folder's pictures in strips of equal height, mirrored when their turn comes again."""
    paths = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in SUFFIXES)
    made = np.zeros((*size, 3), np.uint8)
    turn, names = 0, cycle(paths)
    for top in range(0, size.height, 800):
        strip, left = made[top : top + 800], 0
        while left < size.width:
            picture = load_picture(next(names))
            turn += 1
            picture = picture[:, ::-1] if turn > len(paths) else picture
            part = picture[: strip.shape[0], : size.width - left]
            strip[: part.shape[0], left : left + part.shape[1]] = part
            left += part.shape[1]
    return made


def photographed(pictures: Path, size: Size, frames: int, zoom: float, folder: Path) -> None:
    """A run of JPEG photographs with their focal lengths."""
    world = mosaic(pictures, Size(*(round(side * zoom) + 2 * ASIDE for side in size)))
    rng = np.random.default_rng(0)
    for i, factor in enumerate(np.geomspace(zoom, 1, frames)):
        height, width = round(size.height * factor), round(size.width * factor)
        aside = rng.integers(-ASIDE, ASIDE + 1, 2)
        room = np.array(world.shape[:2]) - (height, width)
        top, left = np.clip(room // 2 + aside, 0, room)
        part = world[top : top + height, left : left + width]
        fine = cv2.resize(part, (2 * size.width, 2 * size.height), interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(fine, (0, 0), 2 * BLUR)  # as a lens would, else pixels alias
        frame = cv2.resize(blurred, (size.width, size.height), interpolation=cv2.INTER_AREA)
        exif = Image.Exif()
        exif.get_ifd(EXIF)[FOCAL_LENGTH] = round(TELE_MM / factor, 2)
        Image.fromarray(frame).save(folder / f"{i:03d}.jpg", quality=92, exif=exif)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", default="6000x4000", help="width x height")
    parser.add_argument("--zoom", type=float, default=4.0)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    size = Size(height, width)
    with tempfile.TemporaryDirectory() as temporary:
        run, out = Path(temporary) / "run", Path(temporary) / "dataset"
        run.mkdir()
        # In a process of its own, since the system counts the memory that one has used to all that it starts.
        made = multiprocessing.get_context("spawn").Process(
            target=photographed, args=(given.pictures, size, given.frames, given.zoom, run)
        )
        made.start()
        made.join()
        print(f"{given.frames} frames of {size}, {size.pixels / 1e6:.0f} megapixels", flush=True)
        begun = time.perf_counter()
        align = subprocess.Popen([sys.executable, "-m", "anyzoom", "align", run, "-o", out])
        _, status, used = os.wait4(align.pid, 0)
        seconds, code = time.perf_counter() - begun, os.waitstatus_to_exitcode(status)
        print(f"aligned in {seconds:.0f} s, {used.ru_maxrss / 2**20:.2f} GiB, exit code {code}")


if __name__ == "__main__":
    main()
