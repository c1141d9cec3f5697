"""The card of a dataset: what it holds, how it was made, and under which licence it may be used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from anyzoom.image.part import refused_by_system
from anyzoom.pairs.aligned import AlignedScene, read_aligned_scenes
from anyzoom.pairs.manifest import MANIFEST, FrameRow, read_manifest

CARD = "DATASET.md"
UNSTATED = "unstated"


def write_card(dataset: Path, licence: str | None = None) -> Path:
    """Write the card of an aligned dataset into it. Without a licence, that of the card that is there stays.

    Raises CannotRead, CannotWrite.
    """
    path = dataset / CARD
    with refused_by_system(path):
        before = re.search(r"^licence: (.*)$", path.read_text("utf-8"), re.MULTILINE) if path.exists() else None
    licence = " ".join(licence.split()) if licence else before[1] if before else UNSTATED
    rows, scenes = read_manifest(dataset / MANIFEST), read_aligned_scenes(dataset)
    card = "\n".join(_lines(dataset.resolve().name, licence, rows, scenes)) + "\n"
    with refused_by_system(path):
        part = path.with_name(f".{CARD}.part")
        part.write_text(card, "utf-8", newline="\n")
        part.replace(path)
    return path


def _lines(name: str, licence: str, rows: Sequence[FrameRow], scenes: Sequence[AlignedScene]) -> Iterator[str]:
    pairs = [row.aligned for row in rows if row.aligned]
    yield from ("---", f"name: {name}", f"licence: {licence}", "task: arbitrary-scale image super-resolution", "---")
    yield from ("", f"# {name}", "")
    yield "Photographs of still scenes through an optical zoom lens, aligned to a fraction of a pixel."
    if licence == UNSTATED:
        yield "The licence is unstated: nobody but the photographer may use these pictures until it is said above."
    yield from ("", "| split | scenes | pairs |", "|---|---|---|")
    kept = sorted((scene for scene in scenes if scene.pairs), key=lambda scene: (scene.split, scene.scene))
    for split, group in groupby(kept, key=lambda scene: scene.split):
        members = list(group)
        yield f"| {split} | {len(members)} | {sum(scene.pairs for scene in members)} |"
    yield from ("", "A scene belongs to one split with all its frames.", "")
    for split, group in groupby(kept, key=lambda scene: scene.split):
        yield f"- {split}: {', '.join(scene.scene for scene in group)}"
    if pairs:
        scales = [sum(one.scale) / 2 for one in pairs]
        quality = [one.quality for one in pairs]
        first = pairs[0]
        colours = {"gain": "a gain and offset per colour", "colour-matrix": "a colour matrix", "none": "nothing"}
        cut = "resampled once (Lanczos-4)" if first.kernel == "lanczos4" else "cut out without resampling"
        yield from ("", "## Figures", "", "| | lowest | median | highest |", "|---|---|---|---|")
        for words, values, digits in (
            ("scale", scales, ".3f"),
            ("residual shift, LR pixels", [one.shift_median_px for one in quality], ".3f"),
            ("correlation of fine detail", [one.correlation for one in quality], ".4f"),
            ("PSNR against HR reduced, dB", [one.psnr_db for one in quality], ".1f"),
            ("PSNR that the alignment allows, dB", [one.ceiling_db for one in quality], ".1f"),
        ):
            low, middle, high = np.quantile(values, (0, 0.5, 1))
            yield f"| {words} | {low:{digits}} | {middle:{digits}} | {high:{digits}} |"
        yield from ("", "## How it was made", "")
        yield f"By anyzoom {first.tool}, settings {first.parameters}. Registered by {first.method}; LR {cut};"
        yield f"brightness matched by {colours[first.luminance]}. `manifest.jsonl` holds the geometry of every frame,"
        yield "`certificate.html` shows what was measured, `scenes.jsonl` what was rejected, and why."
    lost, rejected = len(scenes) - len(kept), sum(len(scene.rejected_frames) for scene in scenes)
    yield f"{rejected} photographs were rejected, {lost} scenes lost."
