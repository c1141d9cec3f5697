"""Encode once, ask often: follow a zoom into one spot of a photo, every step at exactly its own factor.

python examples/window.py examples/rooster.jpg -o frames
"""

from __future__ import annotations

import argparse
from pathlib import Path

from anyzoom import Photo, Window, Zoomer, read_image, write_image
from anyzoom.grid import size_for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    photo = read_image(args.photo)
    zoomer = Zoomer(photo)  # features are computed at the first look and kept
    height, width = 240, 320
    args.output.mkdir(parents=True, exist_ok=True)
    for step in range(8):
        size = size_for(photo.size, 1.3**step)
        top, left = (size.height - height) // 2, (size.width - width) // 2
        pixels = zoomer.render(size=size, window=Window(top, left, top + height, left + width))
        write_image(Photo(pixels, photo.metadata), args.output / f"{step}.png", overwrite=True)


if __name__ == "__main__":
    main()
