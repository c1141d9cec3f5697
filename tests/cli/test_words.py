"""How numbers are said on the command line."""

from __future__ import annotations

import pytest

from anyzoom.cli.words import bytes_of, one_line, pixels_of, scale_of, size_of
from anyzoom.errors import MemoryBudgetError, ScaleError
from anyzoom.grid import Size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2", 2.0), ("3.7", 3.7), (" 1.03 ", 1.03), ("3x2", (2.0, 3.0)), ("1.5X4", (4.0, 1.5)), ("1e3", 1000.0)],
)
def test_scales(text: str, expected: float | tuple[float, float]) -> None:
    """WIDTHxHEIGHT as photographers say it becomes (vertical, horizontal)."""
    assert scale_of(text) == expected


@pytest.mark.parametrize("text", ["abc", "", "x", "2x", "2x3x4", "3,7", "2 3"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(ScaleError, match=r"is not a scale. Write a number such as 3.7, or WIDTHxHEIGHT"):
        scale_of(text)


def test_sizes() -> None:
    assert size_of("4000x3000") == Size(3000, 4000)
    assert size_of("1X2") == Size(2, 1)


@pytest.mark.parametrize("text", ["4000", "4000x", "4000*3000", "-4x3", "4.5x3", "", "1x" + "9" * 19, "4x3\n"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ScaleError, match=r"is not a size. Write WIDTHxHEIGHT"):
        size_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GiB", 2 << 30),
        ("1500MB", 1_500_000_000),
        ("1500MiB", 1500 << 20),
        ("1.5g", 1_500_000_000),
        ("64 kib", 65536),
        ("12345", 12345),
        ("12345b", 12345),
    ],
)
def test_amounts_of_memory(text: str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "-1GiB", "GiB", "2TiB", "1e9", "nan", "9" * 400, "1..5g"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(MemoryBudgetError, match=r"is not an amount of memory. Write it like 2GiB"):
        bytes_of(text)


def test_limits_in_megapixels() -> None:
    assert pixels_of(512) == 512_000_000
    assert pixels_of(0.5) == 500_000
    for wrong in (float("nan"), float("inf"), 0.0, -1.0, 1e300):
        with pytest.raises(ScaleError, match="megapixels makes no sense"):
            pixels_of(wrong)


def test_errors_are_told_in_one_line() -> None:
    assert one_line(ScaleError("a\n  b\tc")) == "a b c"
    assert one_line(ValueError("what\nelse")) == "ValueError: what else"
