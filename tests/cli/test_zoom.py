"""`anyzoom zoom` as people type it: what it says, what it leaves, and its exit code."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anyzoom.checkpoint import Card, save_checkpoint
from anyzoom.grid import Size
from anyzoom.image import Photo, probe_image, read_image, write_image
from anyzoom.models import ContinuousSR
from anyzoom.zoom import Zoomer

MakePhoto = Callable[..., Photo]
Command = Callable[..., Any]  # gives a Done of tests/conftest.py


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_photo: MakePhoto) -> Path:
    """A folder with a photo in it, 12x9 pixels."""
    monkeypatch.chdir(tmp_path)
    write_image(make_photo(9, 12), "photo.png")
    return tmp_path


def left() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if not path.is_dir() or not any(path.iterdir()))


def test_one_photo_one_line(anyzoom: Command) -> None:
    done = anyzoom("zoom", "photo.png", "--scale", "3.7", "-o", "large.png", "--model", "bicubic")
    assert done.code == 0
    assert done.err == ""
    assert done.out.startswith("large.png: 12x9 -> 44x33 in ")
    assert done.out.endswith(" s\n")
    assert left() == ["large.png", "photo.png"]


def test_without_more_words_it_is_twice_as_large_by_the_shipped_network(anyzoom: Command) -> None:
    assert anyzoom("zoom", "photo.png", "-o", "large.png", "--device", "cpu").code == 0
    expected = Zoomer(read_image("photo.png"), device="cpu").render(scale=2)
    np.testing.assert_array_equal(read_image("large.png").pixels, expected)


@pytest.mark.parametrize(
    ("words", "width", "height"),
    [
        (["--scale", "1"], 12, 9),
        (["-s", "3x2"], 36, 18),
        (["--size", "20x50"], 20, 50),
        (["--width", "20"], 20, 15),
        (["--height", "20"], 27, 20),
        (["--fit", "30x20"], 27, 20),
        (["--scale", "16", "--tile", "5"], 192, 144),
        (["--ensemble"], 24, 18),
        (["--precision", "bfloat16"], 24, 18),
    ],
)
def test_ways_to_say_it(anyzoom: Command, words: list[str], width: int, height: int) -> None:
    done = anyzoom("zoom", "photo.png", "-o", "large.tif", "--model", "bicubic", *words)
    assert (done.code, done.err) == (0, "")
    assert probe_image("large.tif").size == Size(height, width)


def test_your_own_weights(anyzoom: Command, tiny: ContinuousSR, tiny_config: dict[str, object]) -> None:
    save_checkpoint(Path("mine.safetensors"), tiny, Card(name="mine", model="lmi-edsr", config=tiny_config))
    assert anyzoom("zoom", "photo.png", "-o", "large.png", "--model", "mine.safetensors").code == 0
    expected = Zoomer(read_image("photo.png"), Path("mine.safetensors")).render(scale=2)
    np.testing.assert_array_equal(read_image("large.png").pixels, expected)


def test_results_are_skipped_or_replaced(anyzoom: Command) -> None:
    Path("large.png").write_bytes(b"precious")
    words = ("zoom", "photo.png", "-o", "large.png", "--model", "bicubic")
    done = anyzoom(*words)
    assert (done.code, done.out, done.err) == (0, "large.png: exists already; --overwrite replaces it\n", "")
    assert Path("large.png").read_bytes() == b"precious"
    assert anyzoom(*words, "--overwrite").code == 0
    assert probe_image("large.png").size == Size(18, 24)


# Input that cannot be read


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises that many pixels and holds none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def truncated(name: str) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(name)
    whole = Path(name).read_bytes()
    Path(name).write_bytes(whole[: len(whole) // 2])


BAD_INPUT: dict[str, tuple[Callable[[], object], str]] = {
    "missing.png": (lambda: None, "missing.png: no such file"),
    "empty.png": (lambda: Path("empty.png").write_bytes(b""), "empty.png: the file is empty"),
    "text.png": (lambda: Path("text.png").write_text("Dear diary, ..."), "a text that starts with 'Dear diary"),
    "half.png": (lambda: truncated("half.png"), "damaged or incomplete: copy it again"),
    "half.jpg": (lambda: truncated("half.jpg"), "damaged or incomplete: copy it again"),
    "zero.png": (lambda: Path("zero.png").write_bytes(png_header(0, 10)), "zero.png: "),
    "bomb.png": (
        lambda: Path("bomb.png").write_bytes(png_header(50_000, 50_000)),
        "50000x50000 is 2500 megapixels, and the limit is 512. If you trust the file, add --max-input-megapixels 2500",
    ),
    "clip.gif": (lambda: Path("clip.gif").write_bytes(b"GIF89a" + bytes(50)), "a GIF, not a picture that can be read"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
@pytest.mark.parametrize("target", ["out.png", "new/deep/out.png"])
def test_bad_input_is_refused_in_one_line(anyzoom: Command, name: str, target: str) -> None:
    make, words = BAD_INPUT[name]
    make()
    before = left()
    assert words in anyzoom("zoom", name, "-o", target, "--model", "bicubic").refusal
    assert left() == before
    assert not Path("new").exists()


def test_a_folder_without_pictures_is_refused(anyzoom: Command) -> None:
    Path("folder").mkdir()
    assert "folder holds no picture" in anyzoom("zoom", "folder", "-o", "out").refusal
    assert left() == ["folder", "photo.png"]


def test_the_limit_of_pixels_can_be_raised(anyzoom: Command) -> None:
    words = ("zoom", "photo.png", "-o", "large.png", "--model", "bicubic", "--max-input-megapixels")
    assert "add --max-input-megapixels 1" in anyzoom(*words, "0.000107").refusal
    assert anyzoom(*words, "0.000108").code == 0


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_of_several_pictures_in_a_file_the_first_is_taken_with_a_warning(anyzoom: Command, kind: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    frames[0].save(f"many.{kind}", save_all=True, append_images=frames[1:])
    done = anyzoom("zoom", f"many.{kind}", "-o", "large.png", "--model", "bicubic")
    assert done.code == 0
    assert done.err.startswith(f"anyzoom: many.{kind}: ")
    assert done.err.count("\n") == 1
    assert "first" in done.err
    found = read_image("large.png")
    assert found.size == Size(12, 16)
    assert (found.pixels[..., :3] == (255, 0, 0)).all()


# Wishes that cannot be granted

BAD_WISHES = {
    ("--scale", "0"): "scale 0 is not positive",
    ("--scale", "-1"): "scale -1 is not positive",
    ("--scale", "nan"): "scale nan is not a number",
    ("--scale", "inf"): "scale inf is not a number",
    ("--scale", "0.5"): "scale 0.5 would shrink",
    ("--scale", "abc"): "'abc' is not a scale",
    ("--scale", "1e9"): "the limit is 4,000. Ask for less, or raise --max-output-megapixels",
    ("--scale", "1e300"): "beyond all measure",
    ("--scale", "2x0.5"): "scale 0.5 would shrink",
    ("--size", "11x9"): "would shrink the photo's width from 12 to 11",
    ("--size", "big"): "'big' is not a size",
    ("--width", "0"): "a side cannot be 0 pixels",
    ("--height", "8"): "would shrink the photo's height from 9 to 8",
    ("--fit", "5x5"): "would shrink",
    ("--width", "9" * 200): "beyond all measure",
    ("--scale", "2", "--width", "24"): "scale and width cannot be asked for together",
    ("--max-output-megapixels", "0.0001"): "the result would be 24x18",
    ("--max-output-megapixels", "nan"): "makes no sense",
    ("--max-input-megapixels", "inf"): "makes no sense",
    ("--device", "cuda:7"): "device 'cuda:7' is not available on this machine",
    ("--device", "toaster"): "unknown device 'toaster'",
    ("--memory", "little"): "'little' is not an amount of memory",
    ("--memory", "10MiB"): "more than the budget of 10 MiB. Raise --memory",
    ("--tile", "0"): "a tile of 0 pixels is too small",
    ("--quality", "0", "--format", "jpg"): "quality 0 is out of range",
    ("--format", "gif"): "format 'gif' is unknown",
    ("--model", "unknown"): "there is no model 'unknown'. Known: lmi-edsr-clean, bicubic",
}


@pytest.mark.parametrize("words", BAD_WISHES, ids=" ".join)
def test_bad_wishes_are_refused_in_one_line(anyzoom: Command, words: tuple[str, ...]) -> None:
    model = () if "--model" in words else ("--model", "bicubic")
    refusal = anyzoom("zoom", "photo.png", "-o", "new/large.png", *model, *words).refusal
    assert BAD_WISHES[words] in refusal
    assert left() == ["photo.png"]


def test_cuda_is_refused_where_there_is_none(anyzoom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refusal = anyzoom("zoom", "photo.png", "-o", "large.png", "--device", "cuda").refusal
    assert refusal == "device 'cuda' is not available on this machine. Available: cpu."
    assert left() == ["photo.png"]


# Targets that cannot be written


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("large.xyz", "the extension '.xyz' is unknown. Use one of .png, .jpg"),
        ("large", "the name has no extension"),
        ("photo.png/large.png", "its folder is a file"),
        ("photo.png/deep/large.png", "its folder is a file"),
        ("photo.png", "photo.png is the photo itself. Choose another name"),
        ("link.png", "link.png is the photo itself. Choose another name"),
        (300 * "x" + ".png", "the name is too long"),
        ("photo.png/", "photo.png is a file"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_bad_targets_are_refused_in_one_line(anyzoom: Command, target: str, words: str, overwrite: bool) -> None:
    Path("link.png").symlink_to("photo.png")
    before = Path("photo.png").read_bytes()
    flags = ["--overwrite"] if overwrite else []
    assert words in anyzoom("zoom", "photo.png", "-o", target, "--model", "bicubic", *flags).refusal
    assert left() == ["link.png", "photo.png"]
    assert Path("photo.png").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits")
def test_a_full_disk_is_refused_in_one_line(here: Path) -> None:
    """A limit on the size of files stands for the disk; it needs a process of its own."""
    code = """
import resource, sys
from anyzoom.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.argv = ["anyzoom", "zoom", "photo.png", "--scale", "60", "-o", "new/large.ppm", "--model", "bicubic", "--tile", "2"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=here)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("anyzoom: new/large.ppm: the file would be larger than this system allows")
    assert left() == ["photo.png"]


# Weights that are none


class Trap:
    """Whoever unpickles this creates a folder."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("executed",)


def test_weights_that_are_a_pickle_are_never_executed(anyzoom: Command) -> None:
    torch.save({"model": Trap()}, "evil.pth")
    refusal = anyzoom("zoom", "photo.png", "-o", "large.png", "--model", "evil.pth").refusal
    assert "evil.pth is a PyTorch pickle, which could run any code and is never opened" in refusal
    assert left() == ["evil.pth", "photo.png"]


@pytest.mark.parametrize("fault", ["truncated", "no card", "shape", "nan", "folder"])
def test_weights_that_do_not_fit_are_refused_in_one_line(
    anyzoom: Command, tiny: ContinuousSR, tiny_config: dict[str, object], fault: str
) -> None:
    from safetensors.torch import load_file, save_file

    path = Path("mine.safetensors")
    card = Card(name="mine", model="lmi-edsr", config=tiny_config)
    save_checkpoint(path, tiny, card)
    tensors, metadata = load_file(path), {"anyzoom": card.model_dump_json()}
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
        words = "mine.safetensors is damaged"
    elif fault == "no card":
        save_file(tensors, path)
        words = "without anyzoom's card: these weights are foreign"
    elif fault == "shape":
        tensors["decoder.colour.bias"] = torch.zeros(4)
        save_file(tensors, path, metadata)
        words = "decoder.colour.bias is (4,), not (3,)"
    elif fault == "nan":
        tensors["decoder.colour.bias"][1] = float("nan")
        save_file(tensors, path, metadata)
        words = "decoder.colour.bias holds numbers that are not finite"
    else:
        path = Path()
        words = "cannot read the weights .: Is a directory"
    before = left()
    assert words in anyzoom("zoom", "photo.png", "-o", "large.png", "--model", path).refusal
    assert left() == before


# Many photos


@pytest.fixture
def album(make_photo: MakePhoto) -> Path:
    """Three good photos and a bad one, in folders."""
    for name in ("a.png", "x/b.jpg", "x/y/c.tif"):
        Path("album", name).parent.mkdir(parents=True, exist_ok=True)
        write_image(make_photo(9, 12), Path("album", name))
    Path("album/bad.png").write_text("I am a text")
    Path("album/notes.txt").write_text("I am a text too")
    return Path("album")


GOOD = ["out/a.png", "out/x/b.jpg", "out/x/y/c.tif"]


def test_a_bad_photo_does_not_stop_the_others(anyzoom: Command, album: Path) -> None:
    done = anyzoom("zoom", album, "-o", "out", "--model", "bicubic")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith("anyzoom: album/bad.png: a text that starts with 'I am a text'")
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["photo", "from", "to", "seconds", "outcome"]
    assert [(row[0], row[1], row[2], row[-1]) for row in rows[1:-1] if "bad" not in row[0]] == [
        (name.replace("out", "album"), "12x9", "24x18", "done") for name in GOOD
    ]
    assert ["album/bad.png", "failed"] in rows
    assert done.out.splitlines()[-1] == "3 done, 0 skipped, 1 failed"
    assert [name for name in left() if name.startswith("out")] == GOOD
    for name in GOOD:
        assert probe_image(name).size == Size(18, 24)


def test_a_batch_goes_on_where_it_stopped(anyzoom: Command, album: Path) -> None:
    words = ("zoom", album, "-o", "out", "--model", "bicubic")
    anyzoom(*words)
    Path("out/x/b.jpg").unlink()
    before = Path("out/a.png").stat().st_mtime_ns
    (album / "bad.png").unlink()
    done = anyzoom(*words)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "1 done, 2 skipped, 0 failed"
    assert Path("out/a.png").stat().st_mtime_ns == before


def test_json_stands_alone_on_stdout(anyzoom: Command, album: Path) -> None:
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"")
    done = anyzoom("zoom", album, "missing.png", "-o", "out", "--model", "bicubic", "--json")
    assert done.code == 1
    photos = json.loads(done.out)["photos"]
    assert [(photo["source"], photo["status"]) for photo in photos] == [
        ("album/a.png", "skipped"),
        ("album/bad.png", "failed"),
        ("album/x/b.jpg", "done"),
        ("album/x/y/c.tif", "done"),
        ("missing.png", "failed"),
    ]
    assert photos[2]["target"] == "out/x/b.jpg"
    assert (photos[2]["from"], photos[2]["to"]) == ([12, 9], [24, 18])
    assert photos[2]["seconds"] >= 0
    assert "a text that starts with" in photos[1]["error"]
    assert "error" not in photos[2]


def test_json_of_a_single_photo(anyzoom: Command) -> None:
    done = anyzoom("zoom", "photo.png", "-o", "large.png", "--model", "bicubic", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["photos"][0]["status"] == "done"


def test_names_mean_nothing_but_themselves(anyzoom: Command, make_photo: MakePhoto) -> None:
    """Neither markup nor emoji nor the width of a terminal changes a name; bytes that are no text are told too."""
    names = ["[red]a[bold].png", "b:smile:.png", "c" * 150 + ".png"]
    for name in names:
        Path("album").mkdir(exist_ok=True)
        write_image(make_photo(3, 4), Path("album", name))
    no_text = os.fsdecode(b"d\xff.png")
    done = anyzoom("zoom", "album", no_text, "-o", "out", "--model", "bicubic")
    assert done.out.splitlines()[-1] == "3 done, 0 skipped, 1 failed"
    for name in names:
        assert f"album/{name} " in done.out
    assert r"d\udcff.png " in done.out
    as_json = anyzoom("zoom", "album", no_text, "-o", "out", "--model", "bicubic", "--json")
    assert [photo["source"] for photo in json.loads(as_json.out)["photos"]][3] == no_text


def test_two_photos_with_one_name_are_refused_before_any_work(anyzoom: Command, album: Path) -> None:
    write_image(read_image("photo.png"), "a.png")
    refusal = anyzoom("zoom", "photo.png", "a.png", album, "-o", "out").refusal
    assert refusal == "a.png and album/a.png would both become out/a.png. Zoom them separately."
    assert not Path("out").exists()


def test_our_own_bugs_are_told_in_full_and_stop_nothing(
    anyzoom: Command, album: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bands = Zoomer.bands

    def broken(self: Zoomer, *rest: object) -> object:
        if self.photo.metadata.dpi == (1.0, 1.0):
            raise RuntimeError("a bug\nof ours")
        return bands(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Zoomer, "bands", broken)
    Image.new("RGB", (4, 4)).save("album/bug.png", dpi=(1, 1))
    done = anyzoom("zoom", album, "-o", "out", "--model", "bicubic")
    assert done.code == 1
    assert "anyzoom: RuntimeError: a bug of ours\n" in done.err
    assert done.out.splitlines()[-1] == "3 done, 0 skipped, 2 failed"
    assert caplog.records[-1].exc_info
    assert [name for name in left() if name.startswith("out")] == GOOD


@pytest.mark.parametrize(
    "words", [("zoom", "photo.png"), ("zoom", "-o", "x.png"), ("zoom", "a", "-o", "b", "--tile", "x")]
)
def test_wrong_usage_is_another_exit_code(anyzoom: Command, words: tuple[str, ...]) -> None:
    done = anyzoom(*words)
    assert done.code == 2
    assert "Try 'anyzoom zoom --help' for help." in done.err
    assert left() == ["photo.png"]


def test_help_and_version(anyzoom: Command) -> None:
    from anyzoom import __version__

    assert anyzoom("--version").out == f"anyzoom {__version__}\n"
    overview = anyzoom("--help").out
    for name, words in (
        ("zoom", "Magnify photos by any factor."),
        ("evaluate", "Measure networks on benchmark pictures."),
    ):
        assert re.search(rf"^  {name} +{re.escape(words)}$", overview, re.MULTILINE)
    found = anyzoom("zoom", "--help")
    assert (found.code, found.err) == (0, "")
    for words in ("--scale FACTOR", "--fit WxH", "--memory BYTES", "For example: anyzoom zoom photo.jpg --scale 3.7"):
        assert words in found.out
    assert max(map(len, found.out.splitlines())) <= 80
