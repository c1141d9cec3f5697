"""From the photographs of zoom runs to published layouts, to a network of one's own, to a larger photo.

The published loaders are written again here, from their papers' and code's description: they go by place in sorted
order and never look at names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.align.conftest import drawn_run

from anyzoom import read_image
from anyzoom.capture import SimulatedCamera, dead_leaves, simulate_run, write_run
from anyzoom.grid import Size
from anyzoom.pairs import points_in_frame, read_scenes
from anyzoom.pairs.manifest import MANIFEST, read_manifest

Command = Callable[..., Any]  # gives a Done of tests/conftest.py
Pixels = NDArray[np.uint8]

FACTORS = (3.01, 2.5, 2.0, 1.5, 1.0)
PATCH = 48
RECIPE = """
steps = 2
batch = 2
precision = "32-true"
log_every = 1
[crops]
patch = 12
queries = 64
[config.encoder]
width = 8
depth = 1
"""
WORDS = {"name": "mine", "summary": "Two steps", "licence": "CC0-1.0", "data": "drawn"}


def drawn_runs(folder: Path) -> None:
    for seed, name in enumerate(("hall", "yard", "yard-2")):
        drawn_run(folder / name, seed, FACTORS)


def simulated_runs(folder: Path) -> None:
    """Through a lens with distortion, blur, drift, roll, noise, and JPEG."""
    for seed, name in enumerate(("hall", "yard", "yard-2")):
        camera = SimulatedCamera(size=Size(320, 480))
        positions = [camera.lens.ring_at(camera.lens.magnification(camera.lens.travel) / one) for one in FACTORS]
        picture = dead_leaves(Size(900, 1350), seed)
        write_run(folder / name, simulate_run(picture, camera, motor=positions, seed=seed, name=name))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


class Patches(NamedTuple):
    lr: Pixels
    hr: Pixels
    scale: float


def coz_training(root: Path, rng: np.random.Generator) -> Patches:
    """Two frames of a scene by chance, ordered by width; one corner, magnified by the ratio of the widths."""
    scene = listed(root / "train_LR")[rng.integers(len(listed(root / "train_LR")))]
    frames = [opened(listed(scene)[i]) for i in rng.choice(len(listed(scene)), 2, replace=False)]
    lr, hr = sorted(frames, key=lambda pixels: pixels.shape[1])
    scale = hr.shape[1] / lr.shape[1]
    x, y = rng.integers(lr.shape[1] - PATCH + 1), rng.integers(lr.shape[0] - PATCH + 1)
    side, left, top = round(PATCH * scale), round(x * scale), round(y * scale)
    return Patches(lr[y : y + PATCH, x : x + PATCH], hr[top : top + side, left : left + side], scale)


def coz_test(root: Path, part: str, place: int) -> list[tuple[Path, Path]]:
    """The file at that place of every scene folder, and the HR at the folder's place."""
    return [(listed(scene)[place], hr) for scene, hr in zip(listed(root / part), listed(root / "test_HR"), strict=True)]


def realarbisr(root: Path, split: str, word: str) -> list[tuple[Path, Path]]:
    return list(zip(listed(root / split / f"LR{word}"), listed(root / split / f"HR{word}"), strict=True))


def agree(lr: Pixels, hr: Pixels, *, least: float) -> None:
    """LR shows what HR shows: their fine detail correlates."""
    small = cv2.resize(hr.astype(np.float32), lr.shape[1::-1], interpolation=cv2.INTER_AREA)
    a, b = ((one - cv2.blur(one, (15, 15))).ravel() for one in (small, lr.astype(np.float32)))
    assert np.vdot(a, b) > least * np.linalg.norm(a) * np.linalg.norm(b)


@pytest.mark.parametrize("photographed", [drawn_runs, pytest.param(simulated_runs, marks=pytest.mark.campaign)])
def test_from_photographs_to_a_network(anyzoom: Command, photographed: Callable[[Path], None]) -> None:
    photographed(Path("runs"))
    scenes = [str(path) for path in listed(Path("runs"))]
    coz = anyzoom("align", *scenes, "-o", "coz", "--test", "yard", "--test", "yard-2")
    assert coz.code == 0, coz
    pairs = anyzoom("align", *scenes, "-o", "arbi", "--layout", "realarbisr", "--scales", "1.5,2,2.5,3")
    assert pairs.code == 0, pairs

    rng = np.random.default_rng(0)
    for _ in range(20):
        lr, hr, scale = coz_training(Path("coz"), rng)
        assert lr.shape == (PATCH, PATCH, 3)
        assert hr.shape[:2] == (round(PATCH * scale),) * 2  # never beyond the border
        agree(lr, hr, least=0.8)  # the loader rounds the corner to a whole HR pixel
    for dataset in (read_scenes(Path("coz"), split="train"), read_scenes(Path("coz"), "coz", "train")):
        (scene,) = dataset.scenes
        assert [frame.path for frame in scene.frames] == listed(Path("coz/train_LR/hall"))[::-1]

    ours = {scene.name: scene for scene in read_scenes(Path("coz"), "coz", "test").scenes}
    assert list(ours) == ["yard", "yard_2"]
    for part, place, nominal in (("test_LR", 0, 2.0), ("test_LR", 1, 3.0), ("test_LR_add", 0, 2.5)):
        found = coz_test(Path("coz"), part, place)
        assert len(found) == 2
        for lr_path, hr_path in found:
            (frame,) = (one for one in ours[hr_path.stem].frames if one.nominal == nominal)
            assert frame.path == lr_path
            assert ours[hr_path.stem].frames[-1].path == hr_path
            lr, hr = opened(lr_path), opened(hr_path)
            assert hr.shape[1] * lr.shape[0] == hr.shape[0] * lr.shape[1]  # one factor for both axes, exactly
            assert hr.shape[1] / lr.shape[1] == pytest.approx(nominal, rel=0.03)
            agree(lr, hr, least=0.9)
    assert read_scenes(Path("coz"), split="test").scenes == tuple(ours.values())

    exact = {scene.name: scene for scene in read_scenes(Path("arbi"), "realarbisr", "train").scenes}
    assert len(exact) == 12
    for word, nominal in (("1dot5", 1.5), ("2", 2.0), ("2dot5", 2.5), ("3", 3.0)):
        for lr_path, hr_path in realarbisr(Path("arbi"), "Train", word):
            assert [one.path for one in exact[f"x{nominal:g}/{hr_path.stem}"].frames] == [lr_path, hr_path]
            lr, hr = opened(lr_path), opened(hr_path)
            assert [round(side * nominal) for side in lr.shape[:2]] == list(hr.shape[:2])
            assert [side * nominal for side in lr.shape[:2]] == list(hr.shape[:2])
            agree(lr, hr, least=0.9)
    assert {scene.name for scene in read_scenes(Path("arbi")).scenes} == exact.keys()

    for row in read_manifest(Path("coz", MANIFEST)):  # LR's corners lie where its row says that they do
        if row.aligned:
            x, y, width, height = row.aligned.hr_box
            corners = points_in_frame(row, np.array([[x, y], [x + width, y + height]]))
            assert np.ptp(corners[:, 0]) == pytest.approx(row.width, rel=0.02)
            assert np.ptp(corners[:, 1]) == pytest.approx(row.height, rel=0.02)

    Path("recipe.toml").write_text(RECIPE)
    Path("card.json").write_text(json.dumps(WORDS))
    assert anyzoom("train", "recipe.toml", "--data", "coz", "-o", "run", "--device", "cpu").code == 0
    assert anyzoom("models", "pack", "run", "--card", "card.json", "-o", "mine.safetensors").code == 0
    lr_path, _ = coz_test(Path("coz"), "test_LR", 1)[0]
    assert anyzoom("zoom", lr_path, "--scale", "1.7", "--model", "mine.safetensors", "-o", "large.png").code == 0
    height, width = opened(lr_path).shape[:2]
    assert read_image("large.png").size == Size(round(height * 1.7), round(width * 1.7))
