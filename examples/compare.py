"""A part of a photo, zoomed by bicubic interpolation and by a network, side by side at 1:1.

    python examples/compare.py examples/rooster.jpg --scale 4 --at 430 180 --size 120 90 -o compared.png

--at and --size are in pixels of the photo: the part's left and top, its width and height. The pictures of the README
were made by the commands that stand in docs/zoom.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from anyzoom import Photo, Window, Zoomer, read_image, write_image
from anyzoom.grid import owned_window, size_for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--at", type=int, nargs=2, default=(0, 0), metavar=("LEFT", "TOP"))
    parser.add_argument("--size", type=int, nargs=2, default=(120, 90), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--models", nargs="+", default=["bicubic", "lmi-edsr-clean"])
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    photo = read_image(args.photo)
    (left, top), (width, height) = args.at, args.size
    size = size_for(photo.size, args.scale)
    window = owned_window(Window(top, left, top + height, left + width), photo.size, size)
    parts = [Zoomer(photo, model).render(size=size, window=window) for model in args.models]
    gap = np.full((window.size.height, 8, parts[0].shape[2]), 255, parts[0].dtype)
    row = [piece for part in parts for piece in (part, gap)][:-1]
    write_image(Photo(np.concatenate(row, axis=1)), args.output, overwrite=True)


if __name__ == "__main__":
    main()
