"""Which pictures of a scene a published dataset's layout holds, and where.

The authors' loaders go by place in sorted order and never look at names, hence the rules here:

- COZ (Fu et al., CVPR 2024) reads the scale n of a test scene as the (n - 2)th file of test_LR/SCENE, and 2.5, 3.5, 5.5
  as the first three of test_LR_add/SCENE. So what follows a missing scale is left out. The i-th file of test_HR belongs
  to the i-th scene folder of test_LR, so a scene without x2 is lost. Names hold letters, digits and `_` alone, for
  `a-b.png` sorts before `a.png`, but the folder `a` before `a-b`.
- RealArbiSR (Li et al., ECCV 2024) and RealSR (Cai et al., ICCV 2019) have a pair of pictures per scale, and cut both
  with the nominal scale: HR's sides are exactly LR's times it, and each scale has an HR of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from anyzoom.errors import ScaleError

NEAREST = 0.03  # a frame stands for a wanted scale when its own differs by at most this share
FIRST, ADDED = (2.0, 3.0, 4.0, 5.0, 6.0), (2.5, 3.5, 5.5)
HALVES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
TENTHS = (1.7, 2.3, 2.7, 3.3, 3.7)
Split = Literal["train", "test"]


class Place(NamedTuple):
    """Where one LR frame goes."""

    frame: int  # its index among the scene's frames
    file: str  # relative to the dataset
    nominal: float | None  # the scale it stands for


class Group(NamedTuple):
    """Frames that share one HR picture: a scene of the manifest."""

    scene: str
    exact: float | None  # HR's sides are LR's times this; None: the measured scales hold
    lr: tuple[Place, ...]  # from the widest
    hr: str  # file


class Layout(NamedTuple):
    """How a dataset is laid out on the disk."""

    train: tuple[float, ...]  # the scales it has a place for; none: all frames, whatever their scales
    test: tuple[float, ...]
    groups: Callable[[str, Split, Sequence[float], Sequence[float]], list[Group]]  # scene, split, wanted, measured


def scene_name(folder: str) -> str:
    """A name that sorts alike with and without an extension, and says nothing to the readers of names."""
    return re.sub(r"[^0-9A-Za-z_]", "_", folder)


def nearest(wanted: Sequence[float], measured: Sequence[float]) -> dict[float, int]:
    """The frame that stands for each wanted scale, where there is one."""
    found = {}
    for scale in wanted:
        best = min(range(len(measured)), key=lambda i: abs(measured[i] / scale - 1), default=None)
        if best is not None and abs(measured[best] / scale - 1) <= NEAREST:
            found[scale] = best
    return found


def plan(
    layout: str, scene: str, split: Split, scales: Sequence[float], measured: Sequence[float]
) -> tuple[list[Group], list[str]]:
    """What to write of a scene whose frames have these measured scales; and in words what is missing.

    scales: those wanted; none: all that the layout has a place for. Raises ScaleError for one that it has not.
    """
    row = LAYOUTS[layout]
    wanted = wanted_scales(layout, split, scales)
    groups = row.groups(scene, split, wanted, measured)
    written = {place.nominal for group in groups for place in group.lr}
    notes = []
    for scale in wanted:
        if scale not in written:
            near = min(measured, key=lambda one: abs(one / scale - 1), default=1.0)
            why = f"the nearest frame is x{near:.3f}"
            if scale in nearest([scale], measured):
                why = "a smaller scale is missing, and the loader goes by place"
            notes.append(f"no x{scale:g}: {why}.")
    return groups, notes


def wanted_scales(layout: str, split: Split, scales: Sequence[float]) -> tuple[float, ...]:
    """Those of the split, rising. Raises ScaleError for a scale that the layout has no place for."""
    row = LAYOUTS[layout]
    known = row.train if split == "train" else row.test
    for scale in scales:
        if scale not in row.test:
            places = ", ".join(f"{one:g}" for one in row.test)
            raise ScaleError(f"the layout {layout} has no place for x{scale:g}. It has: {places}.")
    return tuple(scale for scale in known if not scales or scale in scales)


def _coz(scene: str, split: Split, wanted: Sequence[float], measured: Sequence[float]) -> list[Group]:
    if split == "train":
        lr = [Place(i, f"train_LR/{scene}/x{scale:.4f}.png", None) for i, scale in enumerate(measured)]
        return [Group(scene, None, tuple(lr), f"train_LR/{scene}/x1.0000.png")] if lr else []
    found = nearest(wanted, measured)
    places = []
    for part, scales in (("test_LR", FIRST), ("test_LR_add", ADDED)):
        for scale in scales:
            if scale not in found:
                break
            places.append(Place(found[scale], f"{part}/{scene}/x{scale:.2f}.png", scale))
    if not any(place.nominal in FIRST for place in places):
        return []  # with a picture in test_HR, but no folder in test_LR, it would shift the scenes behind it
    return [Group(scene, None, tuple(places), f"test_HR/{scene}.png")]


def _realarbisr(scene: str, split: Split, wanted: Sequence[float], measured: Sequence[float]) -> list[Group]:
    def group(scale: float, frame: int) -> Group:
        part, word = split.capitalize(), f"{scale:g}".replace(".", "dot")
        place = Place(frame, f"{part}/LR{word}/{scene}.png", scale)
        return Group(f"x{scale:g}/{scene}", scale, (place,), f"{part}/HR{word}/{scene}.png")

    return [group(scale, frame) for scale, frame in nearest(wanted, measured).items()]


def _realsr(scene: str, split: Split, wanted: Sequence[float], measured: Sequence[float]) -> list[Group]:
    """All under Canon: the loaders know no other folder but Nikon's."""

    def group(scale: float, frame: int) -> Group:
        folder = f"Canon/{split.capitalize()}/{scale:g}"
        place = Place(frame, f"{folder}/{scene}_LR{scale:g}.png", scale)
        return Group(f"x{scale:g}/Canon/{scene}", scale, (place,), f"{folder}/{scene}_HR.png")

    return [group(scale, frame) for scale, frame in nearest(wanted, measured).items()]


LAYOUTS: dict[str, Layout] = {
    "coz": Layout((), tuple(sorted(FIRST + ADDED)), _coz),
    "realarbisr": Layout(HALVES, tuple(sorted(HALVES + TENTHS)), _realarbisr),
    "realsr": Layout((2.0, 3.0, 4.0), (2.0, 3.0, 4.0), _realsr),
}
