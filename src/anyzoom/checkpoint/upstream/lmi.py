"""LMI's official files: github.com/pf0607/COZ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.lmi import LmiDecoder
from anyzoom.models.network import Composed, ContinuousSR


def lmi(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, imnet_spec."""
    depth = args["imnet_spec"].get("args", {}).get("depth", 1)
    if depth != 1:
        raise CheckpointError(f"LMI with {depth} mixer blocks is not known; the published networks have one.")
    encoder = encoder_of(args["encoder_spec"], state)
    decoder = LmiDecoder(encoder.width)
    block = "imnet.mixer_blocks.0."
    names = {
        "meta_in": "metanet.layers.0",
        "meta_out": "metanet.layers.2",
        "token_in": block + "token_mix.0.net.0",
        "token_out": block + "token_mix.0.net.2",
        "channel_in": block + "channel_mix.0.net.0",
        "channel_out": block + "channel_mix.0.net.2",
        "colour": "imnet.out",
    }
    fill(decoder, besides(state, "encoder."), names)
    return Composed(encoder, decoder).eval()
