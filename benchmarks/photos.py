"""Whole photos from file to file: seconds and peak resident memory of `anyzoom zoom`, each in a process of its own.

    python benchmarks/photos.py PHOTO... [--scale 2] [--format tif] [--precision float32 bfloat16] [--memory 2GiB]

Photos of any size can be made from others with --make WIDTHxHEIGHT OUT, a mosaic of the given ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from anyzoom import Photo, read_image, write_image
from anyzoom.cli.words import size_of
from anyzoom.image import probe_image


def mosaic(photos: list[Path], width: int, height: int) -> Photo:
    """The photos side by side and below each other, again and again, until the size is filled."""
    tiles = [read_image(path).pixels for path in photos]
    rows, columns = min(tile.shape[0] for tile in tiles), min(tile.shape[1] for tile in tiles)
    picture = np.empty((height, width, 3), np.uint8)
    number = 0
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            part = picture[top : top + rows, left : left + columns]
            part[:] = tiles[number % len(tiles)][: part.shape[0], : part.shape[1], :3]
            number += 1
    return Photo(picture)


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and peak resident MiB of a command."""
    begun = time.monotonic()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            most = max(most, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.monotonic() - begun, most / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--scale", default="2")
    parser.add_argument("--format", default="tif")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--make", nargs=2, metavar=("WIDTHxHEIGHT", "OUT"))
    args = parser.parse_args()
    if args.make:
        size = size_of(args.make[0])
        write_image(mosaic(args.photos, size.width, size.height), args.make[1])
        return
    print(f"{'photo':<24}{'from':>13}{'precision':>12}{'seconds':>10}{'peak MiB':>10}")
    for photo in args.photos:
        for precision in args.precision:
            with tempfile.TemporaryDirectory(dir=photo.parent) as folder:
                command = [sys.executable, "-m", "anyzoom", "zoom", str(photo), "-o", f"{folder}/out.{args.format}"]
                command += ["--scale", args.scale, "--precision", precision, "--memory", args.memory]
                seconds, mebibytes = measured(command)
            size = probe_image(photo).size
            print(f"{photo.name:<24}{size!s:>13}{precision:>12}{seconds:>10.0f}{mebibytes:>10.0f}")


if __name__ == "__main__":
    main()
