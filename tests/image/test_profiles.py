"""The sRGB profile, and ink through a profile."""

from __future__ import annotations

import hashlib

import numpy as np

from anyzoom.image.profiles import srgb_from_cmyk, srgb_profile


def test_the_srgb_profile_is_the_same_every_day() -> None:
    assert srgb_profile()[36:40] == b"acsp"
    assert srgb_profile()[24:36].hex() == "07e800010001000000000000"
    assert hashlib.sha256(srgb_profile()).digest() == hashlib.sha256(srgb_profile()).digest()


def test_an_unusable_profile_falls_back_with_a_warning(warnings: list[str]) -> None:
    ink = np.zeros((2, 2, 4), np.uint8)
    for profile in (b"no profile", srgb_profile()):  # the second is none of ink
        assert srgb_from_cmyk(ink, profile, warnings.append).tolist() == np.full((2, 2, 3), 255).tolist()
    assert len(warnings) == 2
    assert all("colours are approximate" in text for text in warnings)
