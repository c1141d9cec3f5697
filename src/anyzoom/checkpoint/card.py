"""The card of a checkpoint: what it is, where it comes from, what may be done with it.

It stands as JSON in the header of the safetensors file, under the key "anyzoom", and is read without loading a tensor
(nor PyTorch). A file is data: nothing in it is ever executed.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anyzoom.errors import CheckpointError

FORMAT = 1
LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors format
WEIGHTS = files("anyzoom") / "weights"


class Card(BaseModel):
    """What travels with weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str  # how a user asks for it
    model: str  # a row of MODELS
    config: dict[str, Any] = Field(default_factory=dict)  # of that row, where it departs from the paper's
    summary: str = ""  # one sentence for people
    licence: str = "unstated"  # of the weights
    data: str = ""  # what it was trained on, with that data's licences
    credits: list[str] = Field(
        default_factory=list
    )  # authors of the training pictures, where their licence asks for it
    degradation: str = ""  # how the LR pictures were made
    recipe: dict[str, Any] = Field(default_factory=dict)  # the training recipe, whole
    steps: int = 0
    seconds: float = 0.0
    machine: str = ""
    results: dict[str, Any] = Field(default_factory=dict)  # measured figures, with the command that gives them


def read_card(path: Path) -> Card:
    """The card of a checkpoint. Raises CheckpointError, in one line, for anything that is not one."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            if start[8:] != b"{" or length > LARGEST_HEADER:
                if start[:2] == b"PK" or start[:1] == b"\x80":
                    raise CheckpointError(
                        f"{path} is a PyTorch pickle, which could run any code and is never opened. "
                        f"anyzoom reads .safetensors checkpoints."
                    )
                raise CheckpointError(f"{path} is not a safetensors checkpoint.")
            header = json.loads(start[8:] + file.read(length - 1))
        text = header["__metadata__"]["anyzoom"]
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a safetensors checkpoint, or it is damaged.") from error
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is a safetensors file without anyzoom's card: these weights are foreign."
        ) from error
    try:
        card = Card.model_validate_json(text)
    except (ValidationError, TypeError) as error:
        raise CheckpointError(f"{path}: its card cannot be understood (written by a newer anyzoom?).") from error
    if card.format > FORMAT:
        raise CheckpointError(f"{path} has format {card.format}; this anyzoom reads up to {FORMAT}. Update anyzoom.")
    return card


def shipped_cards() -> dict[str, tuple[Path, Card]]:
    """The checkpoints that come with the package, by name."""
    found = sorted(Path(str(WEIGHTS)).glob("*.safetensors"))
    return {path.stem: (path, read_card(path)) for path in found}
