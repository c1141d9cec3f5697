"""Copying the authors' tensors into our networks, every one accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from torch import Tensor, nn

from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.mlp import Mlp

State: TypeAlias = Mapping[str, Tensor]


def part(state: State, prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, still under their full keys."""
    return {key: value for key, value in state.items() if key.startswith(prefix)}


def besides(state: State, *prefixes: str) -> dict[str, Tensor]:
    """The tensors under none of the prefixes."""
    return {key: value for key, value in state.items() if not key.startswith(prefixes)}


def layers(ours: str, theirs: str, mlp: Mlp, step: int = 2) -> dict[str, str]:
    """The names of an MLP's layers; theirs are numbered with the activations counted in."""
    return {f"{ours}.layers.{k}": f"{theirs}.{k * step}" for k in range(len(mlp.layers))}


def fill(module: nn.Module, state: State, names: Mapping[str, str], unused: Iterable[str] = ()) -> None:
    """Copy the tensors of a state dict into a module.

    names: our parameter or layer (without .weight and .bias) -> theirs. unused: keys of theirs, or their beginnings,
    that hold nothing a network needs. Raises CheckpointError naming the first key that is missing, unexpected,
    misshapen or not finite.
    """
    wanted = {}
    for ours in module.state_dict():
        layer, _, kind = ours.rpartition(".")
        wanted[ours] = names[ours] if ours in names else f"{names[layer]}.{kind}"
    for ours, own in module.state_dict().items():
        theirs = wanted[ours]
        if theirs not in state:
            raise CheckpointError(f"the state dict lacks {theirs}.")
        if state[theirs].shape != own.shape:
            raise CheckpointError(f"{theirs} is {tuple(state[theirs].shape)}, expected {tuple(own.shape)}.")
        if not state[theirs].isfinite().all():
            raise CheckpointError(f"{theirs} holds numbers that are not finite.")
    used = set(wanted.values())
    for key in state:
        if key not in used and not key.startswith(tuple(unused)):
            raise CheckpointError(f"the state dict holds {key}, which this architecture does not have.")
    module.load_state_dict({ours: state[theirs].float() for ours, theirs in wanted.items()})
