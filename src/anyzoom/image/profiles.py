"""Colour profiles: the sRGB profile that converted pictures carry, and the way from CMYK to RGB."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from anyzoom.image.metadata import Warn


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB. The same bytes every day: its date of creation is fixed."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes((0x07, 0xE8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # 2024-01-01, 00:00:00
    return bytes(profile)


def srgb_from_cmyk(ink: NDArray[np.uint8], profile: bytes | None, warn: Warn) -> NDArray[np.uint8]:
    """Ink `h w 4` (255 is full ink) -> sRGB `h w 3`, by the picture's own profile where it has a usable one.

    Relative colorimetric with black point compensation, as photo editors do by default.
    """
    from PIL import Image, ImageCms

    picture = Image.frombytes("CMYK", (ink.shape[1], ink.shape[0]), np.ascontiguousarray(ink).tobytes())
    if profile is not None:
        try:
            converted = ImageCms.profileToProfile(
                picture,
                ImageCms.ImageCmsProfile(BytesIO(profile)),
                ImageCms.ImageCmsProfile(BytesIO(srgb_profile())),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError) as error:
            warn(f"its CMYK profile cannot be used ({error}); colours are approximate")
        else:
            if converted is not None:
                return np.asarray(converted)
    else:
        warn("CMYK without a profile; colours are approximate")
    return np.asarray(picture.convert("RGB"))
