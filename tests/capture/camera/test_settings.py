"""Wanted values among those of Canon, Nikon and Sony."""

from __future__ import annotations

import pytest

from anyzoom.capture.camera.settings import Setting
from anyzoom.errors import CameraError

CANON = Setting("aperture", "5.6", "choice", ("5.6", "6.3", "7.1", "8", "9"))
NIKON = Setting("f-number", "f/5.6", "choice", ("f/5.6", "f/6.3", "f/7.1", "f/8", "f/9"))
SECONDS = Setting("shutterspeed", "0.0100s", "choice", ("0.0002s", "0.0003s", "0.0012s", "0.0080s", "1.0000s", "Bulb"))
FRACTIONS = Setting("shutterspeed", "1/60", "choice", ("bulb", "30", "1.3", "1/60", "1/125", "1/160"))
ISO = Setting("iso", "Auto", "choice", ("Auto", "100", "125", "160", "200"))
LIGHT = Setting("whitebalance", "Auto", "choice", ("Auto", "Daylight", "Tungsten"))
FOCUS = Setting("focus", "0", "range", ("-100", "100", "1"))
VIEW = Setting("viewfinder", "0", "toggle")


@pytest.mark.parametrize(
    ("setting", "wanted", "meant"),
    [
        (CANON, "8", "8"),
        (CANON, "f/8", "8"),
        (CANON, "F8.0", "8"),
        (NIKON, "8", "f/8"),
        (NIKON, "f/7.1", "f/7.1"),
        (SECONDS, "1/125", "0.0080s"),
        (SECONDS, "1/800", "0.0012s"),
        (SECONDS, "1/5000", "0.0002s"),
        (SECONDS, "1", "1.0000s"),
        (SECONDS, "bulb", "Bulb"),
        (FRACTIONS, "1/125 s", "1/125"),
        (FRACTIONS, "0.0080s", "1/125"),
        (ISO, "200", "200"),
        (ISO, "Auto", "Auto"),
        (LIGHT, "daylight", "Daylight"),
        (FOCUS, "-20", "-20"),
        (VIEW, "on", "1"),
        (VIEW, "No", "0"),
        (Setting("artist", "", "text"), "me", "me"),
        (Setting("mode", "M", "choice", ("M",), read_only=True), "M", "M"),
    ],
)
def test_a_value_is_found(setting: Setting, wanted: str, meant: str) -> None:
    assert setting.matching(wanted) == meant


@pytest.mark.parametrize(
    ("setting", "wanted", "sentence"),
    [
        (CANON, "f/4", r"aperture has no 'f/4'. Its nearest values: 5.6, 6.3, 7.1, 8\."),
        (FRACTIONS, "1/100", "nearest values: 1/125, 1/160, 1/60, 1.3"),
        (FRACTIONS, "1/0", "has no '1/0'"),
        (ISO, "130", "nearest values: 125, 100, 160, 200"),
        (LIGHT, "Dayligt", r"nearest values: Daylight\."),
        (LIGHT, "moon", r"Its values: Auto, Daylight, Tungsten\."),
        (FOCUS, "101", "Give -100 to 100"),
        (FOCUS, "near", "Give -100 to 100"),
        (VIEW, "perhaps", "Its values: on, off"),
        (Setting("mode", "P", "choice", ("P", "M"), read_only=True), "M", "Turn the camera's own dial"),
    ],
)
def test_a_value_that_is_not_offered_is_refused(setting: Setting, wanted: str, sentence: str) -> None:
    with pytest.raises(CameraError, match=sentence):
        setting.matching(wanted)
