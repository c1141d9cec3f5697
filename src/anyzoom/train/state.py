"""Everything that a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from anyzoom.errors import RecipeError


class State(NamedTuple):
    """The parts of a run that change. Data and rates depend on the step alone."""

    objective: nn.Module
    averaged: AveragedModel
    optimizer: Optimizer


def save_state(path: Path, state: State, step: int, seconds: float) -> None:
    """Write the state after `step` steps and `seconds` of training; the file is replaced as a whole."""
    partial = path.with_suffix(".part")
    torch.save(
        {
            "step": step,
            "seconds": seconds,
            "objective": state.objective.state_dict(),
            "averaged": state.averaged.state_dict(),
            "optimizer": state.optimizer.state_dict(),
        },
        partial,
    )
    partial.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the processor. Raises RecipeError when the file is damaged or foreign."""
    if not path.is_file():
        raise RecipeError(f"{path} does not exist: no step of a training run has been saved there.")
    try:
        with zipfile.ZipFile(path) as parts:  # PyTorch writes check sums, but does not look at them
            if parts.testzip():
                raise zipfile.BadZipFile
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise RecipeError(f"{path} is damaged, or not the state of a training run. Remove it to begin anew.") from error
    if not isinstance(saved, dict) or saved.keys() != {"step", "seconds", *State._fields}:
        raise RecipeError(f"{path} is not the state of a training run. Choose another run folder.")
    return saved


def load_state(path: Path, state: State) -> tuple[int, float]:
    """Continue from a file; returns its step and seconds, or (0, 0.0) when there is none.

    Raises RecipeError when the file is damaged or belongs to another network.
    """
    if not path.exists():
        return 0, 0.0
    saved = read_state(path)
    try:
        state.objective.load_state_dict(saved["objective"])
        state.averaged.load_state_dict(saved["averaged"])
        state.optimizer.load_state_dict(saved["optimizer"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise RecipeError(f"{path} belongs to another network. Choose another run folder.") from error
    return int(saved["step"]), float(saved["seconds"])
