"""Weights on disk: safetensors with a card, and the authors' own checkpoints."""

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
