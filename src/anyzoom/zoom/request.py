"""How large the result shall be: the ways in which people say it, and the one size that follows."""

from __future__ import annotations

from dataclasses import dataclass

from anyzoom.errors import ScaleError
from anyzoom.grid import Size, as_scale, size_for

MEGAPIXEL = 1_000_000
MOST_OUTPUT_PIXELS = 4_000 * MEGAPIXEL
MOST_SIDE = 10**12  # pixels; what is longer is not even counted


@dataclass(frozen=True)
class Request:
    """Exactly one of these says the size; without any, twice the photo's."""

    scale: float | tuple[float, float] | None = None  # one factor, or (vertical, horizontal)
    size: Size | None = None  # exactly this, whatever it does to the proportions
    width: int | None = None  # this wide, height in proportion
    height: int | None = None  # this high, width in proportion
    fit: Size | None = None  # as large as fits into this box, in proportion
    limit_pixels: int = MOST_OUTPUT_PIXELS  # refuse a larger result

    def check(self) -> None:
        """Raise ScaleError for what no photo can satisfy: several wishes, or one that is not positive."""
        wishes = [name for name in ("scale", "size", "width", "height", "fit") if getattr(self, name) is not None]
        if len(wishes) > 1:
            raise ScaleError(f"{' and '.join(wishes)} cannot be asked for together. Choose one.")
        if self.scale is not None:
            as_scale(self.scale)
        sides = [*(self.size or ()), *(self.fit or ()), self.width, self.height]
        for side in sides:
            if side is not None and side < 1:
                raise ScaleError(f"a side cannot be {side} pixels. Ask for at least the photo's own size.")
            if side is not None and side > MOST_SIDE:
                raise ScaleError("a side of that many pixels is beyond all measure. Ask for less.")

    def size_of(self, photo: Size) -> Size:
        """The size of the result for a photo of that size.

        Raises ScaleError when several wishes are given, when a side would shrink, or when the result is too large.
        """
        self.check()
        result = self._wished(photo)
        for name, had, gets in (
            ("height", photo.height, result.height),
            ("width", photo.width, result.width),
        ):
            if gets < had:
                raise ScaleError(
                    f"that would shrink the photo's {name} from {had} to {gets} pixels. "
                    f"Ask for {had} or more: we only magnify."
                )
        if result.pixels > self.limit_pixels:
            raise ScaleError(
                f"the result would be {result}, {result.pixels / MEGAPIXEL:,.0f} megapixels; the limit is "
                f"{self.limit_pixels / MEGAPIXEL:,.0f}. Ask for less, or raise --max-output-megapixels."
            )
        return result

    def _wished(self, photo: Size) -> Size:
        if self.size is not None:
            return self.size
        if self.width is not None:
            return Size(_nearest(photo.height * self.width, photo.width), self.width)
        if self.height is not None:
            return Size(self.height, _nearest(photo.width * self.height, photo.height))
        if self.fit is not None:
            box = self.fit
            if box.width * photo.height <= box.height * photo.width:  # the width is what limits
                return Size(min(box.height, _nearest(photo.height * box.width, photo.width)), box.width)
            return Size(box.height, min(box.width, _nearest(photo.width * box.height, photo.height)))
        factors = as_scale(2.0 if self.scale is None else self.scale)
        if any(side * factor > MOST_SIDE for side, factor in zip(photo, factors, strict=True)):
            raise ScaleError(f"scale {max(factors):g} is beyond all measure. Ask for less.")
        return size_for(photo, factors)


def _nearest(numerator: int, denominator: int) -> int:
    """The quotient rounded half up, at least 1."""
    return max(1, (2 * numerator + denominator) // (2 * denominator))
