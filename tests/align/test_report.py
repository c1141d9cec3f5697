"""The certificate: whole in itself, and true."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pairs.test_aligned import QUALITY

from anyzoom.align.build import align_scenes
from anyzoom.align.report import as_jpeg, pictured, write_certificate
from anyzoom.align.scene import Settings
from anyzoom.pairs.aligned import read_aligned_scenes
from anyzoom.pairs.manifest import MANIFEST, read_manifest

MakeRun = Callable[..., Path]
UNCLOSED = {"meta", "img", "input", "tr", "td", "th", "p", "br"}  # that HTML lets one leave open


@pytest.fixture(scope="module")
def dataset(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One scene with a photograph of something else, and one that is lost."""
    folder = tmp_path_factory.mktemp("report")
    runs = [make_run(folder / "a<b", factors=(1.6, 1.25, 1.0), moved=0), folder / "missing"]
    assert [one.status for one in align_scenes(runs, folder / "out", Settings())] == ["aligned", "lost"]
    return folder / "out"


class Checked(HTMLParser):
    """Whether every tag is closed, and what it names."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in UNCLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in UNCLOSED:
            assert self.open.pop() == tag


def words(page: str) -> Iterator[str]:
    yield from re.sub(r"<[^>]*>", "\n", page).split("\n")


def test_the_page_tells_all_and_needs_nothing(dataset: Path) -> None:
    page = write_certificate(dataset).read_text("utf-8")
    checked = Checked()
    checked.feed(page)
    assert checked.open == []
    assert len(checked.sources) == 3  # HR's thumbnail, and two that take turns
    for source in checked.sources:
        kind, data = source.split(",")
        assert kind == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).format == "JPEG"
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    told = "\n".join(words(page))
    (pair,) = [row.aligned for row in read_manifest(dataset / MANIFEST) if row.aligned]
    assert f"{pair.scale[0]:.4f} {pair.scale[1]:.4f}" in told
    assert f"{pair.quality.psnr_db:.1f}" in told
    missing, scene = sorted(read_aligned_scenes(dataset), key=lambda one: one.pairs)
    (rejection,) = scene.rejected
    for text in (missing.error, rejection.cause, rejection.remedy, rejection.frame, rejection.gate):
        assert text
        assert text in told
    assert write_certificate(dataset).read_text("utf-8") == page


def test_what_is_rejected_by_its_pixels_is_shown(make_run: MakeRun, tmp_path: Path) -> None:
    """A block of the frame is painted over: it moved."""
    run = make_run(tmp_path / "run", factors=(1.6, 1.25, 1.0), seed=3)
    photo = Image.open(run / "0.png")
    exif = photo.getexif()
    box = (200, 120, 310, 215)
    photo.paste(photo.crop((box[0] - 60, box[1], box[2] - 60, box[3])), box)
    photo.save(run / "0.png", exif=exif)
    out = tmp_path / "out"
    (outcome,) = align_scenes([run], out, Settings())
    assert {one.frame for one in outcome.scene.rejected} == {"0.png"}
    assert "bad_blocks" in {one.gate for one in outcome.scene.rejected}
    shown = sorted(path.name for path in (out / "certificate" / "run").iterdir())
    assert shown == ["0.png.hr.jpg", "0.png.lr.jpg"]
    page = write_certificate(out).read_text("utf-8")
    checked = Checked()
    checked.feed(page)
    assert len(checked.sources) == 5
    assert "run, 0.png: " in page


def test_both_pictures_show_one_place() -> None:
    """LR of half the size, enlarged: a ramp tells where it was cut, and waves that they keep their place."""
    y, x = np.mgrid[:700, :1000].astype(np.float32)
    hr = np.stack((x * 0.25, 128 + 100 * np.sin(x / 6), 128 + 100 * np.sin(y / 6)), axis=-1)
    lr = hr.reshape(350, 2, 500, 2, 3).mean((1, 3))
    for block in (None, (0.0, 0.0, 0.1, 0.1), (0.9, 0.9, 0.1, 0.1), (0.3, 0.2, 0.1, 0.3)):
        quality = QUALITY.model_copy(update={"worst_block": block})
        seen = pictured(hr.astype(np.uint8), lr.astype(np.uint8), quality)
        assert seen.hr.shape == seen.lr.shape == (320, 480, 3)
        inner = np.s_[8:-8, 8:-8]
        assert np.abs(seen.hr[inner].astype(float) - seen.lr[inner]).mean((0, 1)).max() < 2  # a pixel off: 10
        if block:
            middle = (block[0] + block[2] / 2) * 1000
            assert int(seen.hr[0, 0, 0]) - 1 <= middle * 0.25 <= int(seen.hr[0, -1, 0]) + 1


def test_small_pictures_are_shown_whole() -> None:
    hr = np.zeros((40, 60, 3), np.uint8)
    assert pictured(hr, hr[::2, ::2], QUALITY).lr.shape == (40, 60, 3)


def test_colours_keep_their_order() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    found = np.asarray(Image.open(io.BytesIO(as_jpeg(red))))
    assert np.abs(found.astype(int) - red).max() < 8
