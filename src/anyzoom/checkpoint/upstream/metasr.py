"""Meta-SR's official files: those of LIIF's repository, github.com/yinboc/liif, and the authors' own,
github.com/XuecaiHu/Meta-SR-Pytorch. Only names, shapes and constants are facts taken from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, layers, part
from anyzoom.checkpoint.upstream.rdn import rdn
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.metasr import MetaSrConfig, MetaSrDecoder
from anyzoom.models.encoders.rdn import RdnConfig, RdnEncoder
from anyzoom.models.network import Composed, ContinuousSR

RDN_OPTIONS = ("G0", "RDNkSize", "RDNconfig", "D", "C", "G")


def metasr(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, as LIIF's repository stores it; or the authors' own options, where keys start with P2W."""
    if any(key.startswith("P2W.") for key in state):
        return _of_the_authors(args, state)
    encoder = encoder_of(args["encoder_spec"], state)
    decoder = MetaSrDecoder(encoder.width)
    fill(decoder, besides(state, "encoder."), layers("mlp", "imnet.layers", decoder.mlp))
    return Composed(encoder, decoder).eval()


def _of_the_authors(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """On RDN. Colours there are 0 to 255 less the mean colour; the weight network takes 1 / s, down, along.

    So what the first convolution multiplies grows by the range, and what the last layer gives shrinks by it.
    """
    if "SFENet1.weight" not in state:
        raise CheckpointError(
            "of the authors' Meta-SR networks only the one on RDN is known; SFENet1.weight is missing."
        )
    value_range = float(args.get("rgb_range", 255))
    options = {key: args[key] for key in RDN_OPTIONS if key in args} | {"no_upsampling": True}
    trunk = rdn("rdn", options, besides(state, "P2W.", "sub_mean.", "add_mean."), "")
    encoder = RdnEncoder(RdnConfig.model_validate(trunk.config.model_dump() | {"normalisation": "mean"}))
    encoder.load_state_dict(trunk.state_dict())
    encoder.head.weight.data.mul_(value_range)
    decoder = MetaSrDecoder(encoder.width, MetaSrConfig(normalisation="mean"))
    fill(decoder, part(state, "P2W."), layers("mlp", "P2W.meta_block", decoder.mlp))
    first, last = decoder.mlp.linears
    first.weight.data = first.weight.data[:, [1, 2, 0]].contiguous()
    for parameter in last.parameters():
        parameter.data.div_(value_range)
    return Composed(encoder, decoder).eval()
