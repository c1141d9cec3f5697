"""The run folder: all that a run writes, and what it takes to go on.

run.json        the recipe with its defaults, where the data lie and their digest, the weights begun from
metrics.jsonl   one line per so many steps: step, rate, mean losses, validation; the same numbers whenever repeated
times.jsonl     what differs from machine to machine: seconds, steps per second, waiting for data, memory
starts.jsonl    one line per start: when, at which step, on which machine and with which versions
last.pt, best.pt, step_000500.pt     states (`state`), each a checkpoint to continue from
samples/        validation pictures at fixed factors
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from anyzoom.errors import CannotWrite, RecipeError
from anyzoom.pairs import Scene
from anyzoom.train.recipe import FREE, Recipe

LAST, BEST = "last.pt", "best.pt"


class Plan(BaseModel):
    """What run.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    folders: tuple[str, ...]  # the data's, as absolute paths
    digest: str  # of the data
    validation: str | None = None  # the folder measured on
    begun_from: str | None = None  # sha256 of the weights that the run was begun with


class Run:
    """A folder that belongs to one recipe and one set of data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def plan(self) -> Plan:
        """Raises RecipeError when the folder is none that a run has made."""
        path = self.folder / "run.json"
        try:
            return Plan.model_validate_json(path.read_text("utf-8"))
        except OSError as error:
            raise RecipeError(f"{self.folder} is not a run folder: it has no readable run.json.") from error
        except ValidationError as error:
            raise RecipeError(f"{path} is damaged, or was written by another version of anyzoom.") from error

    def begin(self, plan: Plan, done: int) -> None:
        """Make the folder, or see that it is of the same plan, of which `done` steps are done.

        Raises RecipeError that names the differences. More steps are none, if the rates of those done stay.
        """
        if (self.folder / "run.json").exists():
            old = self.plan
            plan = plan.model_copy(update={"begun_from": plan.begun_from or old.begun_from})
            self._compare(old, plan, done)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise RecipeError(f"{self.folder} is not empty and not a run folder. Choose another.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replaced(self.folder / "run.json", plan.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise CannotWrite(f"cannot write into {self.folder}: {error.strerror}.") from error

    def _compare(self, old: Plan, new: Plan, done: int) -> None:
        before, now = (one.recipe.model_dump(mode="json") for one in (old, new))
        differences = [text for key, text in differing(before, now) if key not in FREE]
        rates = ([one.schedule.rate(step, one.steps, 1.0) for step in range(done)] for one in (old.recipe, new.recipe))
        if next(rates) != next(rates):
            differences.append(
                f"steps: {old.recipe.steps} -> {new.recipe.steps}, which changes the rate of steps that are done"
            )
        if old.digest != new.digest:
            differences.append("other data")
        if old.begun_from != new.begun_from:
            differences.append("other weights to begin from")
        if differences:
            raise RecipeError(
                f"{self.folder} belongs to another recipe ({'; '.join(differences)}). "
                f"Choose another folder, or give the recipe it was begun with."
            )

    def note(self, name: str, line: Mapping[str, Any]) -> None:
        """Append a line to one of the .jsonl files."""
        try:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise CannotWrite(
                f"cannot write {self.folder / name}: {error.strerror}. The last checkpoint is kept."
            ) from error

    def forget_after(self, step: int) -> None:
        """Drop what was noted after that step, which will be done again, and a line that was cut short."""
        for name in ("metrics.jsonl", "times.jsonl"):
            path = self.folder / name
            if path.exists():
                kept = [line for line in path.read_text("utf-8").splitlines(keepends=True) if _step_of(line) <= step]
                replaced(path, "".join(kept))

    def metrics(self) -> list[dict[str, Any]]:
        path = self.folder / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")


def replaced(path: Path, text: str) -> None:
    """Write a small file as a whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def differing(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The keys in which two records differ, dotted, each with a text such as "batch: 16 -> 8"."""
    for key in dict.fromkeys([*old, *new]):
        one, other = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differing(one, other, f"{above}{key}.")
        elif one != other:
            yield f"{above}{key}", f"{above}{key}: {json.dumps(one)} -> {json.dumps(other)}"


def digest_of(scenes: Sequence[Scene]) -> str:
    """Of names, sizes in pixels and in bytes: what tells data apart without reading them all; wherever they lie."""
    found = hashlib.sha256()
    for scene in scenes:
        for frame in scene.frames:
            found.update(f"{scene.name}|{frame.path.name}|{frame.path.stat().st_size}|{frame.size}\n".encode())
    return found.hexdigest()


def environment(step: int, device: str, processes: int) -> dict[str, Any]:
    """Where a run is started: what a reader of its numbers may ask."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "step": step,
        "anyzoom": version("anyzoom"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": f"{torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores",
        "device": device,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
    }
