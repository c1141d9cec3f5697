"""From a run folder to a checkpoint that can be shipped."""

from __future__ import annotations

import json
from pathlib import Path

from anyzoom.checkpoint import Card, save_checkpoint
from anyzoom.checkpoint.store import build
from anyzoom.errors import RecipeError
from anyzoom.train.run import LAST, Run
from anyzoom.train.state import read_state

PREFIX = "module."


def pack_run(run: Path, words: Path, output: Path, checkpoint: str = LAST) -> str:
    """Write the averaged weights of a run in half precision, with a card; returns a line about it.

    words: a JSON file with those fields of Card that a run cannot know, such as name, summary and licence.
    checkpoint: one of the run's, such as last.pt and best.pt.
    """
    recipe = Run(run).plan.recipe
    saved = read_state(run / checkpoint)
    try:
        said = json.loads(words.read_text("utf-8"))
        card = Card.model_validate(
            said
            | {
                "model": recipe.model,
                "config": recipe.config,
                "recipe": recipe.model_dump(mode="json"),
                "steps": saved["step"],
                "seconds": round(saved["seconds"], 1),
            }
        )
    except (OSError, ValueError, TypeError) as error:
        raise RecipeError(f"cannot pack {run} with {words}: {error}") from error
    network = build(card)
    averaged = {key.removeprefix(PREFIX): value for key, value in saved["averaged"].items() if key.startswith(PREFIX)}
    try:
        network.load_state_dict(averaged)
    except RuntimeError as error:
        raise RecipeError(f"{run} cannot be packed: its state is of another network than its recipe.") from error
    save_checkpoint(output, network, card)
    return f"{card.steps} steps, {output.stat().st_size / 1e6:.1f} MB"
