"""SRNO's official files: github.com/2y7c3/Super-Resolution-Neural-Operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.srno import SrnoConfig, SrnoDecoder
from anyzoom.models.network import Composed, ContinuousSR

HIDDEN = 256  # of the last MLP, whatever the width


def srno(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, width, and blocks, which are the attention's heads."""
    unknown = set(args) - {"encoder_spec", "width", "blocks"}
    if unknown:
        raise CheckpointError(f"SRNO with {', '.join(sorted(unknown))} is not known.")
    encoder = encoder_of(args["encoder_spec"], state)
    config = SrnoConfig(width=args.get("width", 256), heads=args.get("blocks", 16), hidden=HIDDEN)
    decoder = SrnoDecoder(encoder.width, config)
    names = {"lift": "conv00", "hidden": "fc1", "colour": "fc2"}
    for number in range(len(decoder.galerkin)):
        ours, theirs = f"blocks.{number}", f"conv{number}"
        names |= {f"{ours}.attend": f"{theirs}.qkv_proj"}
        names |= {f"{ours}.mix_in": f"{theirs}.o_proj1", f"{ours}.mix_out": f"{theirs}.o_proj2"}
        names |= {f"{ours}.key_norm": f"{theirs}.kln", f"{ours}.value_norm": f"{theirs}.vln"}
    fill(decoder, {key: _plain(value) for key, value in besides(state, "encoder.").items()}, names)
    return Composed(encoder, decoder).eval()


def _plain(tensor: Tensor) -> Tensor:
    """Layers are stored as 1 x 1 convolutions `o i 1 1`, norms as `head 1 c`."""
    if tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
        return tensor[:, :, 0, 0]
    return tensor[:, 0] if tensor.ndim == 3 and tensor.shape[1] == 1 else tensor
