"""The multi-layer perceptron that most decoders end in, plain and packed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.models.decoders.fast import Layer


class Mlp(nn.Module):
    """Linear layers with an activation between them; none after the last. forward: `... in` -> `... out`."""

    def __init__(self, widths: Sequence[int], activation: Literal["relu", "gelu"] = "relu") -> None:
        """widths: input, hidden layers, output."""
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation: Literal["relu", "gelu"] = activation

    @property
    def linears(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, values: Tensor) -> Tensor:
        *hidden, last = self.linears
        for layer in hidden:
            values = F.relu(layer(values)) if self.activation == "relu" else F.gelu(layer(values))
        done: Tensor = last(values)
        return done

    def packed(self, dtype: torch.dtype) -> list[Layer]:
        """The same layers for `render`, each with its activation."""
        *hidden, last = self.linears
        activated = [Layer.of(layer.weight.to(dtype), layer.bias.to(dtype), self.activation) for layer in hidden]
        return [*activated, Layer.of(last.weight.to(dtype), last.bias.to(dtype))]
