"""What a dataset holds, in numbers: COZ's figure 4 (Fu et al., CVPR 2024), its magnifications and kinds of scenes."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anyzoom.errors import CannotRead, RecipeError
from anyzoom.pairs.aligned import read_aligned_scenes
from anyzoom.pairs.published import LAYOUTS, Dataset, detect, read_scenes, splits_of

BIN = 0.25  # of the histogram, in factors
UNTAGGED = "untagged"


class SceneStats(NamedTuple):
    """One scene."""

    name: str
    split: str
    kind: str
    factors: tuple[float, ...]  # HR's width over LR's, of every LR frame, falling


class Box(NamedTuple):
    """Of a box plot."""

    lowest: float
    quarter: float
    median: float
    three_quarters: float
    highest: float


class Stats(NamedTuple):
    """A dataset."""

    scenes: tuple[SceneStats, ...]
    gates: dict[str, int]  # by how many photographs each gate was failed, the most frequent first

    @property
    def factors(self) -> list[float]:
        return sorted(factor for scene in self.scenes for factor in scene.factors)

    @property
    def kinds(self) -> dict[str, int]:
        """Scenes of each kind, the most frequent first."""
        return dict(Counter(scene.kind for scene in self.scenes).most_common())

    @property
    def frames(self) -> dict[int, int]:
        """Scenes by the number of their frames, HR included."""
        return dict(sorted(Counter(1 + len(scene.factors) for scene in self.scenes).items()))

    @property
    def box(self) -> Box | None:
        """None where there is no LR."""
        factors = self.factors
        return Box(*np.quantile(factors, (0, 0.25, 0.5, 0.75, 1)).tolist()) if factors else None


def statistics_of(folder: Path, layout: str | None = None, kinds: Path | None = None) -> Stats:
    """Of all splits of a dataset; `kinds` is a CSV file of two columns, scene and kind.

    Raises RecipeError where no scenes can be told, CannotRead.
    """
    layout = layout or detect(folder)
    kind_of = _kinds(kinds) if kinds else {}
    scenes = []
    for dataset in _datasets(folder, layout):
        for scene in dataset.scenes:
            *lr, hr = scene.frames
            factors = sorted((hr.size.width / frame.size.width for frame in lr), reverse=True)
            scenes.append(SceneStats(scene.name, dataset.split, kind_of.get(scene.name, UNTAGGED), tuple(factors)))
    unknown = kind_of.keys() - {scene.name for scene in scenes}
    if unknown:
        raise CannotRead(f"{kinds} tags {min(unknown)!r}, which is no scene of {folder}. Correct its name.")
    gates = Counter(one.gate for scene in read_aligned_scenes(folder) for one in scene.rejected)
    return Stats(tuple(scenes), dict(gates.most_common()))


def _datasets(folder: Path, layout: str) -> list[Dataset]:
    """Its splits; a dataset may hold one alone."""
    splits = LAYOUTS[layout].splits if layout in LAYOUTS else splits_of(folder)
    found, refused = [], []
    for split in splits or ("train",):
        try:
            found.append(read_scenes(folder, layout, split))
        except RecipeError as error:
            refused.append(error)
    if refused and not found:
        raise refused[0]
    return found


def _kinds(path: Path) -> dict[str, str]:
    try:
        rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CannotRead(f"cannot read the kinds of scenes from {path}: {error}.") from error
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise CannotRead(f"{path}, line {number}: {len(row)} columns. Write two: a scene's name, and its kind.")
    return {scene.strip(): kind.strip() for scene, kind in rows if (scene, kind) != ("scene", "kind")}


def as_csv(stats: Stats) -> str:
    """One line per scene."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("scene", "split", "kind", "frames", "factor_min", "factor_median", "factor_max"))
    for scene in stats.scenes:
        told = [f"{f(scene.factors):.4f}" if scene.factors else "" for f in (min, np.median, max)]
        out.writerow((scene.name, scene.split, scene.kind, 1 + len(scene.factors), *told))
    return text.getvalue()


def histogram(factors: Sequence[float]) -> list[tuple[float, int]]:
    """The lower end of each bin from 1 on, and how many factors lie in it."""
    last = math.floor((max(factors, default=1) - 1) / BIN + 1e-9)
    counts = Counter(max(0, math.floor((factor - 1) / BIN + 1e-9)) for factor in factors)
    return [(1 + BIN * i, counts[i]) for i in range(last + 1)]


WIDTH, LEFT, RIGHT, HIGH = 720, 48, 700, 170  # of the drawing
COLOURS = ("#3b6ea5", "#d08a2e", "#5a9367", "#a4505f", "#7a68a6", "#8a8a8a")


def figure(stats: Stats) -> str:
    """SVG: a histogram of the magnifications, their box plot, frames per scene, kinds of scenes."""
    rows = [_magnifications(stats)] if stats.factors else []
    rows.append(_share("scenes by number of frames", {str(count): n for count, n in stats.frames.items()}))
    if set(stats.kinds) != {UNTAGGED}:
        rows.append(_share("scenes by kind", stats.kinds))
    if stats.gates:
        rows.append(_share("gates that photographs failed", stats.gates))
    drawn, top = [], 0
    for height, body in rows:
        drawn.append(f'<g transform="translate(0 {top})">{body}</g>')
        top += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'font-family="sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, colour: str, words: str = "") -> str:
    title = f"<title>{escape(words)}</title>" if words else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}">{title}</rect>'


def _line(x1: float, y1: float, x2: float, y2: float, width: float = 1) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#222" stroke-width="{width:g}"/>'


def _magnifications(stats: Stats) -> tuple[int, str]:
    bars, box = histogram(stats.factors), stats.box
    assert box is not None
    most = max(count for _, count in bars)
    end = math.ceil(2 * (bars[-1][0] + BIN)) / 2
    base = 30 + HIGH

    def x(factor: float) -> float:
        return LEFT + (RIGHT - LEFT) * (factor - 1) / (end - 1)

    parts = [_text(LEFT, 18, f"magnifications of {len(stats.factors)} LR frames", "start")]
    for low, count in bars:
        high = HIGH * count / most
        words = f"x{low:g} to x{low + BIN:g}: {count}"
        parts.append(_rect(x(low) + 1, base - high, x(low + BIN) - x(low) - 2, high, COLOURS[0], words))
    parts += [_line(LEFT, base, RIGHT, base), _text(LEFT - 6, base - HIGH + 10, str(most), "end")]
    parts.append(_text(LEFT - 6, base, "0", "end"))
    for tick in np.arange(1, end + 0.25, 0.5 if end <= 6.5 else 1).tolist():
        parts += [_line(x(tick), base, x(tick), base + 4), _text(x(tick), base + 18, f"x{tick:g}")]
    middle = base + 42
    parts.append(_line(x(box.lowest), middle, x(box.highest), middle))
    parts += [_line(x(at), middle - 8, x(at), middle + 8) for at in (box.lowest, box.highest)]
    words = "quarters and median: " + ", ".join(f"x{at:.2f}" for at in box[1:4])
    parts.append(_rect(x(box.quarter), middle - 11, x(box.three_quarters) - x(box.quarter), 22, "#bcd0e4", words))
    parts += [_line(x(box.median), middle - 11, x(box.median), middle + 11, 2)]
    parts.append(_text(RIGHT, 18, f"x{box.lowest:.2f} to x{box.highest:.2f}, median x{box.median:.2f}", "end"))
    return middle + 28, "".join(parts)


def _share(title: str, counts: dict[str, int]) -> tuple[int, str]:
    """One bar that is divided."""
    whole, at, parts = sum(counts.values()), float(LEFT), [_text(LEFT, 18, title, "start")]
    labels: list[str] = []
    for i, (name, count) in enumerate(counts.items()):
        width = (RIGHT - LEFT) * count / whole
        colour = COLOURS[i % len(COLOURS)]
        parts.append(_rect(at, 26, max(width - 1, 0.5), 18, colour, f"{name}: {count}"))
        labels.append(f'<tspan fill="{colour}">■</tspan> {escape(name)}: {count}')
        at += width
    lines = list(_packed(labels))
    for i, line in enumerate(lines):
        parts.append(f'<text x="{LEFT}" y="{62 + 18 * i}">{line}</text>')
    return 62 + 18 * len(lines), "".join(parts)


def _packed(labels: Iterable[str], most: int = 6) -> Iterator[str]:
    labels = list(labels)
    for start in range(0, len(labels), most):
        yield "   ".join(labels[start : start + most])
