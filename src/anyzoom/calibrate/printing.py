"""The target on paper: SVG and PDF (ISO 32000-1) at true size.

A sheet that is larger than the paper is printed in tiles. Neighbours share a strip; lines in the margins of the paper
tell where to cut one and lay it on the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from anyzoom.calibrate.target import Box, Layer, Target, Words, drawn
from anyzoom.errors import CalibrationError, MissingExtra
from anyzoom.image.part import refused_by_system

POINTS_PER_MM = 72 / 25.4
PAPERS_MM = {  # width, height, lying
    "a4": (297.0, 210.0),
    "a3": (420.0, 297.0),
    "a2": (594.0, 420.0),
    "a1": (841.0, 594.0),
    "a0": (1189.0, 841.0),
    "letter": (279.4, 215.9),
}
UNPRINTED_MM = 10.0  # that printers leave white around a paper
SHARED_MM = 10.0  # of two neighbouring tiles


class Tile(NamedTuple):
    """The part of the sheet that one paper holds, mm."""

    row: int
    column: int
    part: Box


def tiles(target: Target, paper_mm: tuple[float, float]) -> list[Tile]:
    """In reading order. Raises CalibrationError for a paper without room."""
    room = [side - 2 * UNPRINTED_MM for side in paper_mm]
    if min(room) <= 2 * SHARED_MM:
        raise CalibrationError(f"paper of {paper_mm[0]:g} x {paper_mm[1]:g} mm is too small. Use A4 or larger.")
    steps = [side - SHARED_MM for side in room]
    counts = [
        max(1, math.ceil((side - SHARED_MM) / step - 1e-9))
        for side, step in zip((target.width_mm, target.height_mm), steps, strict=True)
    ]
    return [
        Tile(row, column, Box(column * steps[0], row * steps[1], room[0], room[1]))
        for row in range(counts[1])
        for column in range(counts[0])
    ]


def write_svg(target: Target, path: Path) -> int:
    """One drawing of the whole sheet. Gives the number of pages, 1. Raises CannotWrite, MissingExtra."""
    size = f'width="{target.width_mm:g}mm" height="{target.height_mm:g}mm"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {target.width_mm:g} {target.height_mm:g}">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        *(f'<g fill="rgb{layer.colour}">{_path(layer.boxes)}{_texts(layer.words)}</g>' for layer in drawn(target)),
        "</svg>",
    ]
    with refused_by_system(path):
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return 1


def _path(boxes: Iterable[Box]) -> str:
    steps = (f"M{b.x:.4f} {b.y:.4f}h{b.width:.4f}v{b.height:.4f}h{-b.width:.4f}z" for b in boxes)
    return f'<path d="{"".join(steps)}"/>'


def _texts(words: Iterable[Words]) -> str:
    return "".join(
        f'<text x="{w.x:.3f}" y="{w.y:.3f}" font-family="Helvetica, Arial, sans-serif" font-size="{w.height:.3f}">'
        f"{escape(w.text)}</text>"
        for w in words
    )


def write_pdf(target: Target, path: Path, paper_mm: tuple[float, float] | None = None) -> int:
    """One page of the sheet's own size, or tiles on paper. Gives the number of pages.

    Raises CannotWrite, MissingExtra, CalibrationError for a paper without room.
    """
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise MissingExtra("printing a target", "calibrate") from error

    layers = drawn(target)
    whole = Tile(0, 0, Box(0, 0, target.width_mm, target.height_mm))
    pages = [whole] if paper_mm is None else tiles(target, paper_mm)
    margin = 0.0 if paper_mm is None else UNPRINTED_MM
    page_mm = paper_mm or (target.width_mm, target.height_mm)
    canvas = Canvas(str(path), pagesize=tuple(side * POINTS_PER_MM for side in page_mm), pageCompression=1, invariant=1)
    canvas.setTitle("anyzoom calibration target")
    for tile in pages:
        # mm from the paper's top left corner downwards; the text is turned back
        canvas.transform(POINTS_PER_MM, 0, 0, -POINTS_PER_MM, 0, page_mm[1] * POINTS_PER_MM)
        canvas.saveState()
        area = canvas.beginPath()
        area.rect(margin, margin, tile.part.width, tile.part.height)
        canvas.clipPath(area, stroke=0, fill=0)
        canvas.translate(margin - tile.part.x, margin - tile.part.y)
        _paint(canvas, layers, tile.part)
        canvas.restoreState()
        if len(pages) > 1:
            _marks(canvas, tile, page_mm, pages[-1])
        canvas.showPage()
    with refused_by_system(path):
        canvas.save()
    return len(pages)


def _paint(canvas: Any, layers: Iterable[Layer], part: Box) -> None:
    for layer in layers:
        canvas.setFillColorRGB(*(value / 255 for value in layer.colour))
        outline = canvas.beginPath()  # one path: no hairlines between boxes that touch
        for box in layer.boxes:
            if _meet(box, part):
                outline.rect(*box)
        canvas.drawPath(outline, stroke=0, fill=1, fillMode=1)  # filled also where boxes overlap
        for line in layer.words:
            _write(canvas, line)


def _meet(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def _write(canvas: Any, words: Words) -> None:
    canvas.saveState()
    canvas.translate(words.x, words.y)
    canvas.scale(1, -1)
    canvas.setFont("Helvetica", words.height)
    canvas.drawString(0, 0, words.text)
    canvas.restoreState()


def _marks(canvas: Any, tile: Tile, page_mm: tuple[float, float], last: Tile) -> None:
    """In the paper's margin: where the next tile begins (cut there), and which tile this is."""
    canvas.setLineWidth(0.1)
    right, below = page_mm[0] - UNPRINTED_MM - SHARED_MM, page_mm[1] - UNPRINTED_MM - SHARED_MM
    if tile.column < last.column:
        for y in (2.0, page_mm[1] - UNPRINTED_MM):
            canvas.line(right, y, right, y + UNPRINTED_MM - 2)
    if tile.row < last.row:
        for x in (2.0, page_mm[0] - UNPRINTED_MM):
            canvas.line(x, below, x + UNPRINTED_MM - 2, below)
    place = f"row {tile.row + 1} of {last.row + 1}, column {tile.column + 1} of {last.column + 1}"
    note = f"{place}: cut along the lines, lay on the next sheet"
    _write(canvas, Words(UNPRINTED_MM + SHARED_MM, UNPRINTED_MM - 3, 2.4, note))
