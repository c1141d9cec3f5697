"""Recipes: what they say, and how they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from anyzoom.errors import RecipeError
from anyzoom.models import MODELS
from anyzoom.train import Recipe, load_recipe
from anyzoom.train.recipe import network_config

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """What is said about a recipe, without its path."""
    path = written(folder, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    said = str(caught.value)
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


def test_there_are_recipes() -> None:
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.stem))
def test_every_recipe_can_be_trained(path: Path) -> None:
    recipe = load_recipe(path)
    with torch.device("meta"):
        network = MODELS[recipe.model].build(network_config(recipe))
    assert any(True for _ in network.parameters())


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, ""))
    assert recipe == Recipe()
    assert (recipe.model, recipe.patch, recipe.scales) == ("lmi-edsr", 48, (1.0, 4.0))


def test_a_file_holds_what_differs(tmp_path: Path) -> None:
    text = """
        steps = 5
        scales = [2, 3.5]
        precision = "32-true"
        [config.encoder]
        width = 32
    """
    recipe = load_recipe(written(tmp_path, text))
    assert recipe == Recipe(steps=5, scales=(2.0, 3.5), precision="32-true", config={"encoder": {"width": 32}})
    config = network_config(recipe)
    assert config == MODELS["lmi-edsr"].config.model_validate({"encoder": {"width": 32, "depth": 16}})


@pytest.mark.parametrize(
    ("key", "meant"),
    [("learning_rat", "learning_rate"), ("step", "steps"), ("warmup", "warm_up"), ("scale", "scales")],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, key: str, meant: str) -> None:
    said = refusal(tmp_path, f"{key} = 1")
    assert said == f"{key}: Extra inputs are not permitted. Did you mean {meant!r}?"


def test_an_unknown_key_of_the_network_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[config.encoder]\nwidht = 8")
    assert said == ("config of lmi-edsr: encoder.widht: Extra inputs are not permitted. Did you mean 'width'?")
    assert "trained_to" in refusal(tmp_path, "[config]\ntrained_two = 8")
    assert refusal(tmp_path, 'model = "bicubic"\n[config]\nsharp = 8').endswith("not permitted.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 0", "steps: Input should be greater than or equal to 1."),
        ('steps = "many"', "steps: Input should be a valid integer"),
        ("learning_rate = nan", "learning_rate: Input should be a finite number."),
        ("clip = 0", "clip: Input should be greater than 0."),
        ("average = 1.0", "average: Input should be less than 1."),
        ("seed = -1", "seed: Input should be greater than or equal to 0."),
        ("scales = [4, 1]", "scales: Value error, should be the smallest and the largest scale"),
        ("scales = [0.5, 2]", "scales: Value error, should be the smallest and the largest scale"),
        ("scales = [1, inf]", "scales.1: Input should be a finite number."),
        ('precision = "16"', "precision: Input should be '32-true' or 'bf16-mixed'."),
        ('model = "lmi"', "unknown model 'lmi'. Known: bicubic, eqsr"),
        ("[config.encoder]\nwidth = 0", "config of lmi-edsr: encoder.width: Input should be greater"),
    ],
)
def test_impossible_values_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text).startswith(message)


def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*missing\.toml"):
        load_recipe(tmp_path / "missing.toml")
    with pytest.raises(RecipeError, match=r"mine\.toml is not valid TOML"):
        load_recipe(written(tmp_path, "steps: 5"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "binary.toml")


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().steps = 3
