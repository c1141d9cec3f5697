"""Tiles: they cover a photo once, and the work fits into the budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyzoom.errors import MemoryBudgetError
from anyzoom.grid import Size, owned_window
from anyzoom.zoom.tiles import LARGEST_TILE, MIB, RESIDENT, Job, rows_of_tiles, tile_for

JOB = Job(
    lr=Size(3000, 4000),
    hr=Size(6000, 8000),
    halo=36,
    floats_per_pixel=384,
    kept_bytes=0,
    pictures=1,
    photo_bytes=36_000_000,
    row_bytes=24_000,
)


@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_tiles_and_what_they_own_cover_everything_once(lr: tuple[int, int], tile: tuple[int, int]) -> None:
    lr_size, hr_size = Size(*lr), Size(lr[0] * 2 + 1, lr[1] + 3)
    seen, owned = np.zeros(lr_size, int), np.zeros(hr_size, int)
    for row in rows_of_tiles(lr_size, Size(*tile)):
        for window in row:
            assert window.size.height <= tile[0]
            assert window.size.width <= tile[1]
            seen[window.slices] += 1
            owned[owned_window(window, lr_size, hr_size).slices] += 1
    assert (seen == 1).all()
    assert (owned == 1).all()


def test_tiles_come_row_by_row_from_left_to_right() -> None:
    assert list(rows_of_tiles(Size(3, 5), Size(2, 4))) == [
        [(0, 0, 2, 4), (0, 4, 2, 5)],
        [(2, 0, 3, 4), (2, 4, 3, 5)],
    ]


def test_a_plain_case_in_numbers() -> None:
    """2 GiB let the largest tile pass; 3000 = 6 x 500, 4000 = 8 x 500, all equal."""
    assert tile_for(JOB, 2048 * MIB) == Size(500, 500)
    assert JOB.bytes_for(Size(500, 500)) == (
        RESIDENT + 36_000_000 + 572 * 572 * 384 * 4 + (1000 + 1) * 24_000 * 2
    )  # encoding weighs more than rendering here


def test_a_photo_smaller_than_a_tile_is_one_tile() -> None:
    assert tile_for(replace(JOB, lr=Size(40, 30), hr=Size(80, 60)), 2048 * MIB) == Size(40, 30)


jobs = st.builds(
    lambda height, width, down, across, halo, floats, kept, pictures, channels: Job(
        lr=Size(height, width),
        hr=Size(int(height * down), int(width * across)),
        halo=halo,
        floats_per_pixel=floats,
        kept_bytes=kept,
        pictures=pictures,
        photo_bytes=height * width * channels,
        row_bytes=int(width * across) * channels,
    ),
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.floats(1, 40),
    st.floats(1, 40),
    st.integers(0, 70),
    st.sampled_from([6, 384, 3072]),
    st.sampled_from([0, 256 << 20]),
    st.integers(1, 2),
    st.integers(1, 16),
)


@given(jobs, st.integers(RESIDENT, 16 * 1024 * MIB))
def test_the_budget_is_kept_or_the_refusal_names_what_suffices(job: Job, memory: int) -> None:
    try:
        tile = tile_for(job, memory)
    except MemoryBudgetError as error:
        needed = int(str(error).split("about ")[1].split(" MiB")[0])
        assert needed * MIB > memory
        assert job.bytes_for(tile_for(job, needed * MIB)) <= needed * MIB
        return
    assert job.bytes_for(tile) <= memory
    assert 1 <= tile.height <= min(LARGEST_TILE, job.lr.height)
    assert 1 <= tile.width <= min(LARGEST_TILE, job.lr.width)


@given(jobs)
def test_more_memory_never_makes_smaller_tiles(job: Job) -> None:
    areas = []
    for gib in (1, 2, 4, 8, 64, 10_000):
        try:
            areas.append(tile_for(job, gib * 1024 * MIB).pixels)
        except MemoryBudgetError:
            areas.append(0)
    assert areas == sorted(areas)


def test_too_little_is_refused_with_numbers_and_advice() -> None:
    with pytest.raises(MemoryBudgetError) as caught:
        tile_for(JOB, 100 * MIB)
    assert "zooming 4000x3000 to 8000x6000 needs about" in str(caught.value)
    assert "more than the budget of 100 MiB. Raise --memory" in str(caught.value)


def test_a_network_that_must_see_everything_gets_everything_or_a_refusal() -> None:
    job = replace(JOB, halo=None, lr=Size(300, 400), hr=Size(600, 800))
    assert tile_for(job, 2048 * MIB) == Size(300, 400)
    with pytest.raises(MemoryBudgetError, match="must see the whole photo at once"):
        tile_for(job, RESIDENT)
