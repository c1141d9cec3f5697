"""A camera's settings: our word for each, what makers call it, and how a wanted value is found among its choices."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from anyzoom.errors import CameraError

# Our word -> what libgphoto2 calls it on Canon EOS, Nikon and Sony; a camera has at most one of a row.
NAMES: dict[str, tuple[str, ...]] = {
    "iso": ("iso",),
    "shutterspeed": ("shutterspeed",),
    "aperture": ("aperture", "f-number"),
    "whitebalance": ("whitebalance",),
    "quality": ("imageformat", "imagequality", "jpegquality"),
    "mode": ("autoexposuremode", "expprogram"),
    "drivemode": ("drivemode", "capturemode"),
    "focusmode": ("focusmode",),
    "target": ("capturetarget",),
    "lighting": ("alomode",),
    "distortion": ("autodistortioncontrol",),
    "vignetting": ("vignettecorrection",),
    "viewfinder": ("viewfinder",),
    "focallength": ("focallength",),
}
SHOWN = 4  # nearest values or names in a refusal
ON, OFF = frozenset({"1", "on", "yes", "true"}), frozenset({"0", "off", "no", "false"})
NUMBER = re.compile(r"(?:f/?\s*)?(\d+(?:\.(\d+))?)(?:/(\d+(?:\.\d+)?))?\s*(?:s|sec|mm|k)?", re.IGNORECASE)


@dataclass(frozen=True)
class Setting:
    """One as the camera has it."""

    name: str  # the camera's own
    value: str
    kind: Literal["choice", "toggle", "range", "text"]
    choices: tuple[str, ...] = ()  # of a range: lowest, highest, step
    read_only: bool = False

    def matching(self, wanted: str) -> str:
        """The value by which the camera means what is wanted. Raises CameraError for one that it does not offer."""
        if wanted.strip() == self.value:
            return self.value
        if self.read_only:
            raise CameraError(
                f"the setting {self.name} is {self.value!r} and cannot be set to {wanted!r} over the cable now. "
                f"Turn the camera's own dial or switch, or leave it out."
            )
        if self.kind == "choice":
            return self._choice(wanted.strip())
        if self.kind == "toggle":
            return self._toggled(wanted.strip().lower())
        return self._number(wanted.strip()) if self.kind == "range" else wanted

    def _choice(self, wanted: str) -> str:
        for choice in self.choices:
            if choice == wanted:
                return choice
        alike = [choice for choice in self.choices if choice.lower() == wanted.lower()]
        if alike:
            return alike[0]
        by_distance = self._by_distance(wanted)
        if by_distance and by_distance[0].off <= by_distance[0].allowed:
            return by_distance[0].choice
        near = [one.choice for one in by_distance[:SHOWN]] or _near(wanted, self.choices)
        told = f"Its nearest values: {', '.join(near)}" if near else f"Its values: {', '.join(self.choices)}"
        raise CameraError(f"the setting {self.name} has no {wanted!r}. {told}.")

    def _by_distance(self, wanted: str) -> list[Near]:
        """The choices that are numbers, the nearest first, for a wanted value that is one too."""
        aim = _amount(wanted)
        if aim is None:
            return []
        found = []
        for choice in self.choices:
            amount = _amount(choice)
            if amount is not None:
                allowed = max(aim.rounding, amount.rounding) * (1 + 1e-9) + 1e-9 * aim.value
                found.append(Near(abs(amount.value - aim.value), allowed, choice))
        return sorted(found)

    def _toggled(self, wanted: str) -> str:
        if wanted not in ON | OFF:
            raise CameraError(f"the setting {self.name} has no {wanted!r}. Its values: on, off.")
        return "1" if wanted in ON else "0"

    def _number(self, wanted: str) -> str:
        lowest, highest = map(float, self.choices[:2])
        aim = _amount(wanted.removeprefix("-"))
        value = None if aim is None else -aim.value if wanted.startswith("-") else aim.value
        if value is None or not lowest <= value <= highest:
            raise CameraError(f"the setting {self.name} has no {wanted!r}. Give {lowest:g} to {highest:g}.")
        return f"{value:g}"


class Near(NamedTuple):
    """How far a choice lies from what is wanted."""

    off: float
    allowed: float  # what rounding explains
    choice: str


class Amount(NamedTuple):
    """A number as a camera writes it."""

    value: float
    rounding: float  # half a unit of its last decimal: 1/800 s is "0.0012s" on a Nikon


def _amount(text: str) -> Amount | None:
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    number, decimals, divisor = found.groups()
    if divisor is not None:
        return Amount(float(number) / float(divisor), 0.0) if float(divisor) else None
    return Amount(float(number), 0.5 * 10.0 ** -len(decimals) if decimals else 0.0)


def word(name: str) -> str:
    """Ours for a camera's own name, if we have one."""
    return next((ours for ours, names in NAMES.items() if name in names), name)


def absent(camera: str, wanted: str, has: Collection[str]) -> CameraError:
    """The refusal of a setting that the camera has not."""
    near = _near(wanted, {*has, *map(word, has)})
    return CameraError(
        f"{camera} has no setting {wanted!r}"
        + (f" (it has {', '.join(near)})" if near else "")
        + ". Correct the name, or leave it out and set it on the camera itself."
    )


def not_kept(setting: Setting, given: str) -> CameraError:
    """The refusal of a camera that took a value and has another."""
    return CameraError(
        f"the setting {setting.name} was set to {given!r} and reads {setting.value!r}. Turn the camera's mode dial to "
        f"manual (M), and automatic ISO off."
    )


def _near(wanted: str, known: Collection[str]) -> list[str]:
    return difflib.get_close_matches(wanted, sorted(known), SHOWN, cutoff=0.6)
