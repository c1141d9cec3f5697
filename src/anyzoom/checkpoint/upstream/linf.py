"""LINF's official files: github.com/JNNNNYao/LINF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, layers
from anyzoom.checkpoint.upstream.lte import TEXTURE, waves_of, without_sides
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.linf import LinfConfig, LinfDecoder
from anyzoom.models.network import Composed, ContinuousSR


def linf(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, imnet_spec, flow_layers, num_layer, hidden_dim; frequencies in LTE+'s order."""
    if args["imnet_spec"]["name"] != "flow":
        raise CheckpointError(f"LINF with {args['imnet_spec']['name']!r} is not known; the published one has 'flow'.")
    if "imnet.last._weight" in state and len(state["imnet.last._weight"]) == 27:
        raise CheckpointError(
            "this LINF makes patches of 3 x 3 pixels (linf-patch), so that it has no colour at a point of its own; "
            "only the network for single pixels (linf) is known."
        )
    encoder = encoder_of(args["encoder_spec"], state)
    hidden = (args["hidden_dim"],) * args["num_layer"]
    decoder = LinfDecoder(encoder.width, LinfConfig(waves=waves_of(args), hidden=hidden, steps=args["flow_layers"]))
    names = {**TEXTURE, **layers("mlp", "layers", decoder.mlp)}
    for step in range(args["flow_layers"] + 1):
        theirs = f"imnet.linears.{step}" if step < args["flow_layers"] else "imnet.last"
        names |= {f"flow.mixings.{step}.weight": f"{theirs}._weight", f"flow.mixings.{step}.bias": f"{theirs}.bias"}
    fill(decoder, without_sides(besides(state, "encoder."), "layers."), names)
    return Composed(encoder, decoder).eval()
