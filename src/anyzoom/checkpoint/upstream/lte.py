"""LTE's and LTE+'s official files: github.com/jaewon-lee-b/lte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import cat

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, layers
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.lte import LteConfig, LteDecoder
from anyzoom.models.network import Composed, ContinuousSR

TEXTURE = {"texture.amplitude": "coef", "texture.frequency": "freq", "texture.phase": "phase"}


def lte(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, imnet_spec, hidden_dim. A wave's two frequencies are neighbours, along y and along x."""
    mlp = args["imnet_spec"]["args"]
    if mlp.get("out_dim", 3) != 3:
        raise CheckpointError(f"this LTE gives {mlp['out_dim']} channels; only RGB is known.")
    config = LteConfig(waves=waves_of(args), hidden=tuple(mlp["hidden_list"]))
    sorted_by_axis = {
        key: cat([value[0::2], value[1::2]]) if key.startswith("freq.") else value for key, value in state.items()
    }
    return _composed(args, sorted_by_axis, config, "imnet.layers")


def lte_plus(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, num_layer, hidden_dim. Frequencies along y come first, the MLP is 1 x 1 convolutions."""
    if args.get("out_dim", 3) != 3:
        raise CheckpointError(f"this LTE+ gives {args['out_dim']} channels; only RGB is known.")
    config = LteConfig(waves=waves_of(args), hidden=(args.get("hidden_dim", 256),) * args.get("num_layer", 3))
    return _composed(args, without_sides(state, "layers."), config, "layers")


def without_sides(state: State, prefix: str) -> State:
    """1 x 1 convolutions under a prefix as the matrices that they are."""
    return {
        key: value.flatten(1) if key.startswith(prefix) and value.shape[2:] == (1, 1) else value
        for key, value in state.items()
    }


def waves_of(args: Mapping[str, Any]) -> int:
    hidden: int = args.get("hidden_dim", 256)
    if hidden % 2:
        raise CheckpointError(f"hidden_dim is {hidden}; waves need an even number of channels.")
    return hidden // 2


def _composed(args: Mapping[str, Any], state: State, config: LteConfig, mlp: str) -> ContinuousSR:
    encoder = encoder_of(args["encoder_spec"], state)
    decoder = LteDecoder(encoder.width, config)
    fill(decoder, besides(state, "encoder."), {**TEXTURE, **layers("mlp", mlp, decoder.mlp)})
    return Composed(encoder, decoder).eval()
