"""Weights on disk: safetensors with a card, and the authors' own checkpoints.

Names are loaded when they are first used, so that a card is read without PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyzoom.checkpoint.card import Card, read_card, shipped_cards
    from anyzoom.checkpoint.store import load_checkpoint, load_model, save_checkpoint
    from anyzoom.checkpoint.upstream import load_upstream

__all__ = [
    "Card",
    "load_checkpoint",
    "load_model",
    "load_upstream",
    "read_card",
    "save_checkpoint",
    "shipped_cards",
]

_PLACES = {
    "Card": "card",
    "load_checkpoint": "store",
    "load_model": "store",
    "load_upstream": "upstream",
    "read_card": "card",
    "save_checkpoint": "store",
    "shipped_cards": "card",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'anyzoom.checkpoint' has no attribute {name!r}")
    return getattr(import_module(f"anyzoom.checkpoint.{_PLACES[name]}"), name)
