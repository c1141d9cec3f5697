"""How to cut a photo into tiles so that the work fits into a memory budget.

A tile is a window of the LR grid. It owns the output pixels whose centres fall into it, is encoded together with a
halo as wide as the network's receptive field, and renders the same pixels as the whole photo would. A full row of
tiles makes a band of output rows, which is what image writers take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anyzoom.errors import MemoryBudgetError
from anyzoom.grid import Size, Window

MIB = 1 << 20
RESIDENT = 560 * MIB  # Python, PyTorch and the image libraries at work, measured on Linux
LARGEST_TILE = 512  # LR pixels; beyond it the halo's share no longer matters
SMALLEST_TILE = 16


@dataclass(frozen=True)
class Job:
    """What decides how much memory a tile takes."""

    lr: Size
    hr: Size
    halo: int | None  # None: only the whole photo at once is exact
    floats_per_pixel: int  # alive per LR pixel while encoding
    kept_bytes: int  # of a render's own
    pictures: int  # 1, or 2 with alpha
    photo_bytes: int
    row_bytes: int  # of one output row in the file's samples

    def bytes_for(self, tile: Size) -> int:
        """Estimated resident bytes when the photo is rendered by tiles of that size, all included."""
        halo = self.halo or 0
        height = min(tile.height + 2 * halo, self.lr.height)
        width = min(tile.width + 2 * halo, self.lr.width)
        down, across = self.hr.height / self.lr.height, self.hr.width / self.lr.width
        encoding = height * width * self.floats_per_pixel * 4 * self.pictures
        rendering = int(tile.height * down * tile.width * across) * 3 * 4 * (3 * self.pictures + 2) + self.kept_bytes
        band = int(tile.height * down + 1) * self.row_bytes * 2  # filled here, while the writer still holds another
        return RESIDENT + self.photo_bytes + max(encoding, rendering) + band


def tile_for(job: Job, memory: int) -> Size:
    """The largest tile that keeps the job within `memory` bytes.

    Raises MemoryBudgetError when even the smallest does not, naming what would suffice.
    """
    if job.halo is None:
        if job.bytes_for(job.lr) > memory:
            raise _too_little(job.bytes_for(job.lr), memory, "this network must see the whole photo at once, which")
        return job.lr
    side = LARGEST_TILE
    while True:
        tile = Size(_balanced(job.lr.height, side), _balanced(job.lr.width, side))
        if job.bytes_for(tile) <= memory:
            return tile
        if side <= SMALLEST_TILE:
            break
        side //= 2
    # Even narrow bands of a very wide result may be too much: make them as low as they get.
    for height in (8, 4, 2, 1):
        tile = Size(_balanced(job.lr.height, height), tile.width)
        if job.bytes_for(tile) <= memory:
            return tile
    raise _too_little(job.bytes_for(tile), memory, f"zooming {job.lr} to {job.hr}")


def _balanced(length: int, most: int) -> int:
    """A tile side of at most `most` that cuts a length into nearly equal parts."""
    parts = -(-length // most)
    return -(-length // parts)


def _too_little(needed: int, memory: int, what: str) -> MemoryBudgetError:
    return MemoryBudgetError(
        f"{what} needs about {-(-needed // MIB)} MiB, more than the budget of {memory // MIB} MiB. "
        f"Raise --memory, or ask for a smaller result."
    )


def rows_of_tiles(lr: Size, tile: Size) -> Iterator[list[Window]]:
    """The tiles that cover a photo, row by row, left to right."""
    for top in range(0, lr.height, tile.height):
        yield [
            Window(top, left, min(top + tile.height, lr.height), min(left + tile.width, lr.width))
            for left in range(0, lr.width, tile.width)
        ]
