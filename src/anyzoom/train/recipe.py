"""What a training run is made of: one frozen record, read from TOML."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from anyzoom.errors import RecipeError


class Recipe(BaseModel):
    """Defaults train LMI-EDSR on a processor in a few hours. A file holds only what differs from them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = "lmi-edsr"
    config: dict[str, Any] = Field(default_factory=dict)  # the network's own, if not the paper's
    steps: int = Field(default=10_000, ge=1)
    batch: int = Field(default=16, ge=1)  # crops per step, over all devices
    patch: int = Field(default=48, ge=8)  # LR pixels
    queries: int = Field(default=256, ge=1)  # HR pixels asked for per crop
    scales: tuple[float, float] = (1.0, 4.0)  # uniform between these
    learning_rate: float = Field(default=6e-4, gt=0)  # peak
    warm_up: int = Field(default=200, ge=0)  # steps
    cool_down: float = Field(default=0.3, ge=0, le=1)  # share of the steps in which the rate falls to zero
    clip: float = Field(default=1.0, gt=0)  # largest gradient norm
    average: float = Field(default=0.999, ge=0, lt=1)  # decay of the averaged weights, which are what is kept
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    seed: int = Field(default=0, ge=0)
    save_every: int = Field(default=500, ge=1)  # steps

    @field_validator("scales")
    @classmethod
    def _rising(cls, scales: tuple[float, float]) -> tuple[float, float]:
        if not 1 <= scales[0] <= scales[1]:
            raise ValueError("should be the smallest and the largest scale, both 1 or more")
        return scales


def load_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises RecipeError naming the key at fault and, if it is unknown, the nearest known."""
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"{path}: {_fault(error, Recipe)}") from error
    network_config(recipe)
    return recipe


def network_config(recipe: Recipe) -> BaseModel:
    """The whole configuration of the recipe's network. Raises RecipeError for an unknown network or key."""
    from anyzoom.models import MODELS

    if recipe.model not in MODELS:
        raise RecipeError(f"unknown model {recipe.model!r}. Known: {', '.join(MODELS)}.")
    record = MODELS[recipe.model].config
    try:
        return record.model_validate(recipe.config)
    except ValidationError as error:
        raise RecipeError(f"config of {recipe.model}: {_fault(error, record)}") from error


def _fault(error: ValidationError, record: Any) -> str:
    """The first thing wrong with the values for a record, in one line."""
    first = error.errors()[0]
    *parents, key = first["loc"]
    hint = ""
    if first["type"] == "extra_forbidden":
        for parent in parents:
            record = record.model_fields[parent].annotation
        near = difflib.get_close_matches(str(key), record.model_fields, 1, cutoff=0)
        hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}.{hint}"
