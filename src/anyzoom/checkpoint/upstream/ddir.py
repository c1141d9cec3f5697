"""DDIR's official files: github.com/nonozhizhiovo/RealArbiSR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, part
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.ddir import DdirConfig, DdirDecoder
from anyzoom.models.network import Composed, ContinuousSR


def ddir(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, deformencoder_spec, imnet_spec, deformnet_spec; the two MLPs have the same hidden layers."""
    hidden = tuple(args["imnet_spec"]["args"]["hidden_list"])
    if tuple(args["deformnet_spec"]["args"]["hidden_list"]) != hidden:
        raise CheckpointError("DDIR with two different MLPs is not known; the published networks have the same twice.")
    for option in ("local_ensemble", "feat_unfold", "cell_decode"):
        if not args.get(option, True):
            raise CheckpointError(f"DDIR without {option} is not known; the published networks have it.")
    encoder = encoder_of(args["encoder_spec"], state)
    second = encoder_of(args["deformencoder_spec"], state, "deformencoder.")
    config = DdirConfig.model_validate({"hidden": hidden, "encoder": second.config})
    decoder = DdirDecoder(encoder.width, config)
    assert decoder.encoder is not None
    assert decoder.deformation is not None
    decoder.encoder.load_state_dict(second.state_dict())
    numbers = range(len(decoder.mlp.layers))
    fill(decoder.deformation, part(state, "deformnet."), {f"layers.{k}": f"deformnet.layers.{2 * k}" for k in numbers})
    others = besides(state, "encoder.", "deformencoder.", "deformnet.")
    fill(decoder.mlp, others, {f"layers.{k}": f"imnet.layers.{2 * k}" for k in numbers})
    return Composed(encoder, decoder).eval()
