"""The table of networks: every name that a user can choose."""

from __future__ import annotations

from anyzoom.models.network import Composed, ContinuousSR, Encoded, Facts
from anyzoom.models.table import MODELS, Model

__all__ = ["MODELS", "Composed", "ContinuousSR", "Encoded", "Facts", "Model"]
