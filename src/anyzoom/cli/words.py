"""How numbers are said on the command line."""

from __future__ import annotations

import re
from enum import StrEnum

from anyzoom.errors import AnyzoomError, MemoryBudgetError, RecipeError, ScaleError
from anyzoom.grid import Size

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
MOST_MEGAPIXELS = 1e12


class Precision(StrEnum):
    """What convolutions and mixers compute in."""

    float32 = "float32"
    bfloat16 = "bfloat16"


def scale_of(text: str) -> float | tuple[float, float]:
    """ "3.7", or "3x2": three times as wide and twice as high. The result is (vertical, horizontal) then."""
    try:
        factors = [float(part) for part in text.lower().split("x")]
    except ValueError:
        factors = []
    if len(factors) == 1:
        return factors[0]
    if len(factors) == 2:
        return factors[1], factors[0]
    raise ScaleError(f"{text!r} is not a scale. Write a number such as 3.7, or WIDTHxHEIGHT factors such as 3x2.")


def size_of(text: str) -> Size:
    """ "4000x3000": width x height, as photographers write it."""
    found = re.fullmatch(r"(\d{1,18})x(\d{1,18})", text.lower())
    if not found:
        raise ScaleError(f"{text!r} is not a size. Write WIDTHxHEIGHT in pixels, such as 4000x3000.")
    return Size(int(found[2]), int(found[1]))


def bytes_of(text: str) -> int:
    """ "2GiB", "1500MB", "1.5g" or plain bytes."""
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,18})?)\s*([kmg]i?)?b?", text.strip().lower())
    if not found:
        raise MemoryBudgetError(f"{text!r} is not an amount of memory. Write it like 2GiB or 1500MiB.")
    return int(float(found[1]) * UNITS[found[2] or ""])


def seconds_of(text: str) -> float:
    """ "90s", "30m", "1.5h" or plain seconds."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smh]?)", text.strip().lower())
    if not found or not float(found[1]):
        raise RecipeError(f"{text!r} is not a time. Write it like 90s, 30m or 1.5h.")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def one_line(error: BaseException) -> str:
    """An error as people read it in a table."""
    text = str(error) if isinstance(error, AnyzoomError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def pixels_of(megapixels: float) -> int:
    """A limit in megapixels -> pixels."""
    if not 0 < megapixels < MOST_MEGAPIXELS:
        raise ScaleError(f"a limit of {megapixels:g} megapixels makes no sense. Ask for a number such as 1000.")
    return int(megapixels * 1_000_000)
