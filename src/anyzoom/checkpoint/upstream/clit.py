"""CLIT's official files, and LIT's, which is the same class with one stage: github.com/jaroslaw1007/CLIT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, layers
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.clit import ClitConfig, ClitDecoder, LitConfig, LitDecoder
from anyzoom.models.network import Composed, ContinuousSR

# Of the position bias; other settings would be another network.
BIAS = {"posenc_type": "sinusoid", "posenc_scale": 10, "hidden_dims": 64, "enc_dims": 64, "gamma": 1}


def clit(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, imnet_spec, pb_spec, base_dim, head, r, imnet_num, conv_num."""
    for option in ("is_cell", "local_attn"):
        if not args.get(option, True):
            raise CheckpointError(f"CLIT without {option} is not known; the published networks have it.")
    if args["imnet_num"] != args["conv_num"]:
        raise CheckpointError(
            f"CLIT with {args['imnet_num']} MLPs (imnet_num) and {args['conv_num']} sets of convolutions (conv_num) "
            "is not known; the published networks have as many of both."
        )
    for key, value in (args["pb_spec"].get("args") or {}).items():
        if BIAS.get(key) != value:
            raise CheckpointError(f"CLIT with {key}={value!r} in pb_spec is not known; expected {BIAS.get(key)!r}.")
    mlp = args["imnet_spec"]["args"]
    if mlp.get("act", "gelu") != "gelu":
        raise CheckpointError(f"CLIT with act={mlp['act']!r} is not known; the published networks have gelu.")
    encoder = encoder_of(args["encoder_spec"], state)
    facts = {"width": args["base_dim"], "heads": args["head"], "radius": args["r"], "hidden": mlp["hidden_list"]}
    stages = args["imnet_num"]
    decoder = (
        LitDecoder(encoder.width, LitConfig.model_validate(facts))
        if stages == 1
        else ClitDecoder(encoder.width, ClitConfig.model_validate(facts | {"stages": stages}))
    )
    names = {"head": "conv_ch", "bias": "pb_encoder.proj"}
    for i, stage in enumerate(decoder.active()):
        names |= {f"stages.{i}.queries": f"conv_qs.{i}", f"stages.{i}.keys": f"conv_ks.{i}"}
        names |= {f"stages.{i}.values": f"conv_vs.{i}"} | layers(f"stages.{i}.mlp", f"imnets.{i}.layers", stage.mlp)
    fill(decoder, besides(state, "encoder."), names)
    return Composed(encoder, decoder).eval()
