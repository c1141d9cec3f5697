"""Real processes that really end: killed, terminated, without room on the disk, and one of two that goes away."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_loop import same_training

from anyzoom.train import Run
from anyzoom.train.state import read_state

RECIPE = """
steps = 40
batch = 4
log_every = 5
save_every = 4
validate_every = 8
average = 0.99
precision = "32-true"
samples = [2]
[config.encoder]
width = 8
depth = 1
[crops]
patch = 12
queries = 64
scales = {kind = "uniform", high = 2.0}
[schedule]
kind = "cosine"
warm_up = 4
"""
CONSTANT = RECIPE.replace('"cosine"\nwarm_up = 4', '"constant"')
ALONE = [sys.executable, "-m", "anyzoom"]
PAIR = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "anyzoom"]


@pytest.fixture
def start(tmp_path: Path, pictures: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `anyzoom train` on a recipe and a run folder; both processes of two without a word about threads."""

    def run(name: str, recipe: str = RECIPE, command: list[str] = ALONE, **popen: Any) -> subprocess.Popen[str]:
        (tmp_path / f"{name}.toml").write_text(recipe)
        words = ["train", f"{name}.toml", "--data", str(pictures), "-o", name, "--device", "cpu", "--threads", "1"]
        words += ["--workers", "2"]
        if command is ALONE:
            words += ["--validate", str(pictures)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [*command, *words],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **popen,
        )

    return run


def finished(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=180)
    assert process.returncode == code, err
    return out, err


def steps_of(run: Path) -> int:
    path = run / "last.pt"
    return int(read_state(path)["step"]) if path.exists() else 0


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(2000):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.02)


def test_killed_at_random_and_resumed_it_ends_with_the_same_bits(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Three kills with SIGKILL; worker processes, averaging, a cosine schedule and validation."""
    finished(start("whole"))
    rng = random.Random(7)
    for low in (1, 12, 24):  # so that every kill finds the run in another third
        killed = start("killed")
        wait_for(lambda least=low: steps_of(tmp_path / "killed") >= least, killed)  # type: ignore[misc]
        time.sleep(rng.random() * 0.3)
        killed.kill()
        killed.communicate()
    assert 24 <= steps_of(tmp_path / "killed") <= 40
    finished(start("killed"))
    assert same_training(tmp_path / "whole", tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))
    assert (tmp_path / "killed" / "samples" / "step_000040" / "disc_x2.png").exists()


def test_sigterm_finishes_the_step_saves_and_ends_well(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("run", RECIPE.replace("steps = 40", "steps = 100_000"))
    wait_for(lambda: steps_of(tmp_path / "run") > 0, process)
    process.send_signal(signal.SIGTERM)
    out, _ = finished(process)
    step = steps_of(tmp_path / "run")
    assert out == f"run: stopped at step {step} of 100000; --resume goes on\n"


def test_a_full_disk_keeps_the_last_good_checkpoint_and_says_so(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    finished(start("run", CONSTANT.replace("steps = 40", "steps = 4")))
    before = (tmp_path / "run" / "last.pt").read_bytes()

    def small_files() -> None:  # as on a full disk, a write fails in the middle
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    _, err = finished(start("run", CONSTANT, preexec_fn=small_files), 1)
    assert ".pt: there is no room left. The last checkpoint is kept; make room and go on with --resume." in err
    assert "Traceback" not in err
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    finished(start("run", CONSTANT))  # with room again it goes on from there
    assert steps_of(tmp_path / "run") == 40
    assert not list((tmp_path / "run").glob(".*"))


def test_two_processes_are_one_with_the_whole_batch(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    recipe = CONSTANT.replace("steps = 40", "steps = 6").replace("log_every = 5", "log_every = 1")
    finished(start("one", recipe))
    finished(start("two", recipe.replace("steps = 6", "steps = 3"), PAIR))
    finished(start("two", recipe, PAIR))  # which goes on after the third step
    curves = [[line["loss"] for line in Run(tmp_path / name).metrics()] for name in ("one", "two")]
    assert len(curves[0]) == 6
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    weights = [read_state(tmp_path / name / "last.pt")["network"] for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)
    starts = [json.loads(line) for line in (tmp_path / "two" / "starts.jsonl").read_text().splitlines()]
    assert [(line["step"], line["processes"]) for line in starts] == [(0, 2), (3, 2)]


def test_when_one_of_two_processes_dies_the_run_ends_and_can_be_resumed(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    long = RECIPE.replace("steps = 40", "steps = 100_000").replace('kind = "cosine"\nwarm_up = 4', 'kind = "constant"')
    process = start("run", long, PAIR)
    wait_for(lambda: steps_of(tmp_path / "run") > 0, process)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    os.kill(children[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "another process of this run has ended" in err or "Signal 9 (SIGKILL)" in err
    step = steps_of(tmp_path / "run")
    shorter = long.replace("steps = 100_000", f"steps = {step + 2}")
    finished(start("run", shorter, PAIR))
    assert steps_of(tmp_path / "run") == step + 2
