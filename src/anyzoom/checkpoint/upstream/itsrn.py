"""ITSRN's official files: github.com/codyshen0000/ITSRN, where the network is called ITNSR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, layers
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.itsrn import ItsrnConfig, ItsrnDecoder
from anyzoom.models.network import Composed, ContinuousSR


def itsrn(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, imnet_spec and the switches of the released configuration, all of them on."""
    for option in ("local_ensemble", "feat_unfold", "scale_token"):
        if not args.get(option, True):
            raise CheckpointError(f"ITSRN without {option} is not known; the released network has it.")
    if args.get("embedding_coord") is not None or args.get("embedding_scale") is not None:
        raise CheckpointError("ITSRN with coordinate embeddings is not known; the released network has none.")
    encoder = encoder_of(args["encoder_spec"], state)
    facts = args["imnet_spec"]["args"]
    if facts.get("act", "sine") != "gelu":
        raise CheckpointError(f"ITSRN with {facts.get('act', 'sine')} is not known; the released network has gelu.")
    decoder = ItsrnDecoder(encoder.width, ItsrnConfig(hidden=tuple(facts["hidden_list"])))
    names = {"mlp": "imnet.layers", "score": "Score.layers", "blend": "Weight.layers"}
    wanted = {k: v for ours, theirs in names.items() for k, v in layers(ours, theirs, getattr(decoder, ours)).items()}
    fill(decoder, besides(state, "encoder."), wanted)
    return Composed(encoder, decoder).eval()
