"""From a run to a checkpoint: the averaged weights, and a card that says where they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anyzoom.checkpoint import load_checkpoint
from anyzoom.errors import RecipeError
from anyzoom.grid import Size
from anyzoom.pairs import Scene
from anyzoom.train import Machine, Recipe, Run, train
from anyzoom.train.pack import pack_run

TinyRecipe = Callable[..., Recipe]
CPU = Machine(device="cpu")


def words(folder: Path, **fields: str) -> Path:
    path = folder / "card.json"
    path.write_text(json.dumps({"name": "mine", "licence": "CC0-1.0"} | fields), "utf-8")
    return path


def test_a_packed_run_renders_as_it_was_trained(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    """Weights are rounded to half precision: 11 bits, so colours near 1 move by less than 1 / 256."""
    recipe, run, file = tiny_recipe(), tmp_path / "run", tmp_path / "mine.safetensors"
    network = train(recipe, disc, run, machine=CPU)
    assert pack_run(run, words(tmp_path), file) == f"8 steps, {file.stat().st_size / 1e6:.1f} MB"
    packed, card = load_checkpoint(file)
    lr, size = torch.rand(1, 3, 6, 7), Size(13, 20)
    torch.testing.assert_close(packed(lr, size), network(lr, size), rtol=0, atol=1 / 256)
    for name, value in network.state_dict().items():
        assert torch.equal(packed.state_dict()[name], value.half().float())
    assert (card.name, card.licence, card.model, card.steps) == ("mine", "CC0-1.0", "lmi-edsr", 8)
    assert Recipe.model_validate(card.recipe) == recipe
    assert card.config == recipe.config


def test_what_cannot_be_packed_is_said(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "mine.safetensors"
    with pytest.raises(RecipeError, match="is not a run folder"):
        pack_run(run, words(tmp_path), file)
    train(tiny_recipe(steps=1), disc, run, machine=CPU)
    with pytest.raises(RecipeError, match="cannot pack"):
        pack_run(run, tmp_path / "missing.json", file)
    with pytest.raises(RecipeError, match="cannot pack"):
        pack_run(run, words(tmp_path, colour="unknown field"), file)
    wider = tiny_recipe(config={"encoder": {"width": 9, "depth": 1}})
    plan = Run(run).plan.model_copy(update={"recipe": wider})
    (run / "run.json").write_text(plan.model_dump_json(), "utf-8")
    with pytest.raises(RecipeError, match="its state is of another network than its recipe"):
        pack_run(run, words(tmp_path), file)
    (run / "last.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(RecipeError, match=r"last\.pt is damaged"):
        pack_run(run, words(tmp_path), file)
    assert not file.exists()
