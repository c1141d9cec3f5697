"""On paper: true size, and tiles that cover the sheet."""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from anyzoom.calibrate.printing import SHARED_MM, tiles, write_pdf, write_svg
from anyzoom.calibrate.target import Target, design
from anyzoom.errors import CalibrationError, CannotWrite

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def a3() -> Target:
    return design([2, 4], sheet_mm=(420, 297))


def contents(path: Path) -> list[str]:
    """The drawing commands of a PDF's pages."""
    streams = re.findall(rb"stream\r?\n(.*?)~>\s*endstream", path.read_bytes(), re.DOTALL)
    return [zlib.decompress(base64.a85decode(stream)).decode("latin-1") for stream in streams]


def test_svg_is_in_millimetres(tmp_path: Path, a3: Target) -> None:
    assert write_svg(a3, tmp_path / "a.svg") == 1
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("420mm", "297mm", "0 0 420 297")
    red, black, blue = root.findall(f"{SVG}g")
    assert "h100.0000v1.5000" in str(black.find(f"{SVG}path").get("d"))  # type: ignore[union-attr]
    assert [text.text for text in blue.iter(f"{SVG}text")] == ["x1", "x2", "x4"]
    assert (red.get("fill"), blue.get("fill")) == ("rgb(230, 30, 24)", "rgb(0, 130, 230)")


def test_pdf_has_the_sheets_size(tmp_path: Path, a3: Target) -> None:
    path = tmp_path / "a.pdf"
    assert write_pdf(a3, path) == 1
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", path.read_bytes())
    assert box
    assert [float(side) for side in box.groups()] == pytest.approx([420 / 25.4 * 72, 297 / 25.4 * 72], abs=1e-3)
    (page,) = contents(path)
    first = re.search(r"([\d.]+) 0 0 (-[\d.]+) 0 ([\d.]+) cm", page)  # after reportlab's own identity
    assert first
    assert [float(number) for number in first.groups()] == pytest.approx(
        [72 / 25.4, -72 / 25.4, 297 / 25.4 * 72], abs=1e-3
    )
    assert len(re.findall(r" 100 1\.5 re", page)) == 1


def test_a_pdf_is_the_same_every_time(tmp_path: Path, a3: Target) -> None:
    for name in ("a.pdf", "b.pdf"):
        write_pdf(a3, tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_tiles_cover_the_sheet_and_share_strips(tmp_path: Path, a3: Target) -> None:
    found = tiles(a3, (210, 297))
    assert len(found) == write_pdf(a3, tmp_path / "a.pdf", (210, 297)) == 6
    assert len(contents(tmp_path / "a.pdf")) == 6
    assert "row 2 of 2, column 3 of 3" in contents(tmp_path / "a.pdf")[-1]
    first, *_, last_page = contents(tmp_path / "a.pdf")
    assert (first.count(" l S"), last_page.count(" l S")) == (4, 0)  # where to cut
    one, beside = found[0].part, found[1].part
    assert one.x + one.width - beside.x == pytest.approx(SHARED_MM)
    below = found[3].part
    assert (found[3].row, found[3].column) == (1, 0)
    assert one.y + one.height - below.y == pytest.approx(SHARED_MM)
    last = found[-1].part
    assert last.x < a3.width_mm - SHARED_MM < a3.width_mm <= last.x + last.width
    assert last.y < a3.height_mm - SHARED_MM < a3.height_mm <= last.y + last.height


def test_one_paper_is_enough_for_a_small_sheet(tmp_path: Path) -> None:
    small = design([2], sheet_mm=(277, 190))
    assert write_pdf(small, tmp_path / "a.pdf", (297, 210)) == 1
    assert "column" not in contents(tmp_path / "a.pdf")[0]


def test_refusals(tmp_path: Path, a3: Target) -> None:
    with pytest.raises(CalibrationError, match="paper of 30 x 40 mm is too small"):
        tiles(a3, (30, 40))
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        write_pdf(a3, tmp_path / "missing" / "a.pdf")
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        write_svg(a3, tmp_path / "missing" / "a.svg")
