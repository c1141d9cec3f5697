"""`anyzoom train`: what it says and refuses. Training itself is tested in tests/train and tests/journeys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

Command = Callable[..., Any]  # gives a Done of tests/conftest.py

RECIPE = """
steps = 2
batch = 1
patch = 8
queries = 16
scales = [1, 2]
precision = "32-true"
save_every = 1
[config.encoder]
width = 4
depth = 0
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save("pictures/a.png")
    Path("recipe.toml").write_text(RECIPE)
    return tmp_path


def test_it_trains_to_the_last_step_once(anyzoom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda _count: None)
    words = ("train", "recipe.toml", "--data", "pictures", "-o", "run", "--device", "cpu", "--threads", "1")
    done = anyzoom(*words, "--validate", "pictures")
    assert done.code == 0, done
    assert done.out == "run: 2 steps done\n"
    log = Path("run/log.jsonl").read_text()
    assert log.count("\n") == 2
    assert "psnr_y_x4" in log
    assert anyzoom(*words).code == 0
    assert Path("run/log.jsonl").read_text() == log  # nothing was left to do


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("missing.toml", "--data", "pictures"), "cannot read the recipe missing.toml"),
        (("recipe.toml", "--data", "missing"), "missing is not a folder"),
        (("wrong.toml", "--data", "pictures"), "stepz: Extra inputs are not permitted. Did you mean 'steps'?"),
        (("recipe.toml", "--data", "pictures", "--device", "toaster"), "device 'toaster' is not on this machine"),
        (("recipe.toml", "--data", "pictures", "--validate", "missing"), "missing is not a folder"),
    ],
)
def test_refusals_are_one_line(anyzoom: Command, words: tuple[str, ...], expected: str) -> None:
    Path("wrong.toml").write_text("stepz = 5")
    assert expected in anyzoom("train", *words, "-o", "run").refusal
    assert not Path("run").exists()


def test_no_threads_at_all_is_wrong_usage(anyzoom: Command) -> None:
    assert anyzoom("train", "recipe.toml", "--data", "pictures", "-o", "run", "--threads", "0").code == 2
