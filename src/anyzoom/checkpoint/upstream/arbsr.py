"""ArbSR's official files: github.com/The-Learning-And-Vision-Atelier-LAVA/ArbSR. They hold a bare state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.fill import State, fill
from anyzoom.errors import CheckpointError
from anyzoom.models.arbsr import LEVELS, ArbSr, ArbSrConfig
from anyzoom.models.network import MEAN, ContinuousSR

KNOWN = {"K": 1, "rgb_range": LEVELS, "n_colors": 3, "res_scale": 1}
MASK = ((0, 1), (4, 5), (7, 8), (11, 12))  # convolution and normalisation


def arbsr(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: the authors' options, those that they leave at their defaults may lack."""
    for option, value in KNOWN.items():
        if args.get(option, value) != value:
            raise CheckpointError(f"ArbSR with {option} = {args[option]} is not known; the published one has {value}.")
    shift = state.get("sub_mean.bias")
    if shift is not None and not shift.allclose(-LEVELS * shift.new_tensor(MEAN), atol=0.1):
        raise CheckpointError(f"this ArbSR subtracts {(-shift).tolist()}; the published one DIV2K's mean colour.")
    config = ArbSrConfig(
        width=args.get("n_feats", 64),
        groups=args.get("n_resgroups", 10),
        blocks=args.get("n_resblocks", 20),
        reduction=args.get("reduction", 16),
        experts=args.get("num_experts", 4),
    )
    network = ArbSr(config)
    names = {"head": "head.0", "body": f"body.{config.groups}", "tail": "tail.1"}
    for group in range(config.groups):
        theirs = f"body.{group}.body"
        for block in range(config.blocks):
            ours = f"groups.{group}.body.{block}"
            names[f"{ours}.first"] = f"{theirs}.{block}.body.0"
            names[f"{ours}.second"] = f"{theirs}.{block}.body.2"
            names[f"{ours}.attention.squeeze"] = f"{theirs}.{block}.body.3.conv_du.0"
            names[f"{ours}.attention.excite"] = f"{theirs}.{block}.body.3.conv_du.2"
        names[f"groups.{group}.body.{config.blocks}"] = f"{theirs}.{config.blocks}"
        ours, theirs = f"adaptions.{group}", f"sa_adapt.{group}"
        for place, (convolution, norm) in enumerate(MASK):
            names[f"{ours}.mask.convolutions.{place}"] = f"{theirs}.mask.{convolution}"
            names[f"{ours}.mask.norms.{place}"] = f"{theirs}.mask.{norm}"
        names[f"{ours}.experts"] = f"{theirs}.adapt.weight_pool"
        for layer in (0, 1):
            names[f"{ours}.routing.layers.{layer}"] = f"{theirs}.adapt.routing.{2 * layer}"
    for layer in (0, 1):
        names[f"upsampling.embedding.layers.{layer}"] = f"sa_upsample.body.{2 * layer}"
    for ours, theirs in (("compress", "weight_compress"), ("expand", "weight_expand")):
        names[f"upsampling.{ours}"] = f"sa_upsample.{theirs}"
    names["upsampling.offset"], names["upsampling.routing"] = "sa_upsample.offset", "sa_upsample.routing.0"
    linear = {
        key: value.flatten(-3) if key.startswith("sa_upsample.") and value.shape[-2:] == (1, 1) else value
        for key, value in state.items()
    }
    counters = [key for key in state if key.endswith(".num_batches_tracked")]
    fill(network, linear, names, ("sub_mean.", "add_mean.", *counters))
    return network.eval()
