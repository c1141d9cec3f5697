"""RDN's trunk as LIIF's repository ships it: github.com/yinboc/liif. Only names and shapes are facts taken from
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.fill import State, fill, part
from anyzoom.errors import CheckpointError
from anyzoom.models.encoders.rdn import RDN_A, RDN_B, RdnConfig, RdnEncoder

CONFIGURATIONS = {"A": RDN_A, "B": RDN_B}
OPTIONS = {"G0", "RDNkSize", "RDNconfig", "scale", "no_upsampling", "D", "C", "G"}


def rdn(_: str, args: Mapping[str, Any], state: State, prefix: str) -> RdnEncoder:
    """args: the configuration's letter, or the numbers D, C and G that it stands for."""
    unknown = sorted(args.keys() - OPTIONS)
    if unknown:
        raise CheckpointError(f"RDN's option {unknown[0]} is not known.")
    if not args.get("no_upsampling", False):
        raise CheckpointError("this RDN has its own upsampler; only the trunk (no_upsampling) is known here.")
    if args.get("RDNkSize", 3) != 3:
        raise CheckpointError(f"RDN with kernels of {args['RDNkSize']} is not known, only of 3.")
    letter = args.get("RDNconfig", "B")
    if letter not in CONFIGURATIONS:
        raise CheckpointError(f"RDN's configuration {letter!r} is not known; known: {', '.join(CONFIGURATIONS)}.")
    named = CONFIGURATIONS[letter]
    config = RdnConfig(
        width=args.get("G0", named.width),
        blocks=args.get("D", named.blocks),
        depth=args.get("C", named.depth),
        growth=args.get("G", named.growth),
    )
    encoder = RdnEncoder(config)
    names = {"head": "SFENet1", "shallow": "SFENet2", "fusion": "GFF.0", "tail": "GFF.1"}
    for block in range(config.blocks):
        names[f"blocks.{block}.fusion"] = f"RDBs.{block}.LFF"
        for layer in range(config.depth):
            names[f"blocks.{block}.layers.{layer}"] = f"RDBs.{block}.convs.{layer}.conv.0"
    fill(encoder, part(state, prefix), {ours: prefix + theirs for ours, theirs in names.items()})
    return encoder
