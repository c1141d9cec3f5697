"""`anyzoom evaluate`"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anyzoom.evaluate import Benchmark
from anyzoom.models import ContinuousSR

Command = Callable[..., Any]  # gives a Done of tests/conftest.py


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of the same name with different pictures."""
    monkeypatch.chdir(tmp_path)
    for seed, folder in enumerate(("one/HR", "two/HR")):
        Path(folder).mkdir(parents=True)
        picture = np.random.default_rng(seed).integers(0, 256, (30, 32, 3), np.uint8)
        Image.fromarray(picture).resize((60, 64)).save(f"{folder}/a.png")
    return tmp_path


def test_the_table(anyzoom: Command, bicubic: ContinuousSR) -> None:
    done = anyzoom("evaluate", "bicubic", "--data", "one/HR", "--data", "two/HR", "--scales", "2,2.7,1")
    assert done.code == 0
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["data", "model", "x2", "x2.7", "x1"]
    for row, folder in zip(rows[1:], ("one/HR", "two/HR"), strict=True):
        benchmark = Benchmark(Path(folder))
        expected = [f"{benchmark.psnr(bicubic, scale):.2f}" for scale in (2, 2.7)]
        assert row == ["HR", "bicubic", *expected, "equal"]
    assert rows[1] != rows[2]


def test_precision(anyzoom: Command) -> None:
    """Half of the digits change the third decimal at most, not nothing."""
    values = []
    for precision in ("float32", "bfloat16"):
        words = ("--data", "one/HR", "--scales", "2", "--precision", precision, "--json")
        values.append(json.loads(anyzoom("evaluate", "lmi-edsr-clean", *words).out)[0]["psnr_y"])
    assert 0 < abs(values[0] - values[1]) < 0.1


def test_json_stands_alone_on_stdout(anyzoom: Command) -> None:
    done = anyzoom("evaluate", "bicubic", "--data", "one/HR", "--scales", "2,1", "--json")
    assert done.code == 0
    first, second = json.loads(done.out)
    assert first.keys() == {"data", "model", "scale", "psnr_y"}
    assert 10 < first["psnr_y"] < 60
    assert second["psnr_y"] is None  # the same picture


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("bicubic", "--data", "missing"), "missing is not a folder"),
        (("unknown", "--data", "one/HR"), "there is no model 'unknown'"),
        (("bicubic", "--data", "one/HR", "--scales", "2x3"), "one factor for both axes"),
        (("bicubic", "--data", "one/HR", "--scales", "2,x"), "'x' is not a scale"),
        (("bicubic", "--data", "one/HR", "--scales", "0"), "scale 0 is not positive"),
        (("bicubic", "--data", "one/HR", "--device", "toaster"), "unknown device"),
    ],
)
def test_refusals_are_one_line(anyzoom: Command, words: tuple[str, ...], expected: str) -> None:
    assert expected in anyzoom("evaluate", *words).refusal


@pytest.mark.parametrize("scale", ["25", "100"])
def test_factors_that_leave_nothing_are_refused(anyzoom: Command, scale: str) -> None:
    done = anyzoom("evaluate", "bicubic", "--data", "one/HR", "--scales", scale)
    assert done.code == 1
    assert "no pixel left" in done.err.splitlines()[-1]
