"""CiaoSR's official files: github.com/caojiezhang/CiaoSR. Only names and shapes are facts taken from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyzoom.checkpoint.upstream.fill import State, fill, layers
from anyzoom.checkpoint.upstream.swinir import COMPUTED, names_of
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.ciaosr import CiaosrConfig, CiaosrDecoder
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.encoders.rdn import RdnConfig, RdnEncoder
from anyzoom.models.encoders.swinir import SwinirConfig, SwinirEncoder
from anyzoom.models.network import Composed, ContinuousSR, Encoder

PREFIXES = ("generator_ema.", "generator.")  # the averaged network counts where a file holds both
OURS = ("imnet_q.", "imnet_k.", "imnet_v.", "cs_attn.")  # what belongs to the decoder
DOWN = {2: "down", 3: "downx3", 4: "downx4"}
PUBLISHED: dict[str, Any] = {  # options that no released file sets otherwise
    "feat_unfold": True,
    "softmax_scale": 1,
    "res": True,
    "cat_nla_v": True,
    "local_ensemble_coord": True,
    "imnet_k_type": "mul_w",
    "imnet_v_type": "mul_w",
}


def ciaosr(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder, imnet_q, imnet_k and imnet_v, and the options of the released configurations.

    state: keys as they are or under one of PREFIXES, of which a file may hold both.
    """
    for option, value in PUBLISHED.items():
        if args.get(option, value) != value:
            raise CheckpointError(f"CiaoSR with {option} = {args[option]!r} is not known; published: {value!r}.")
    lists = [tuple(args[name]["hidden_list"]) for name in ("imnet_q", "imnet_k", "imnet_v")]
    if len(set(lists)) > 1:
        raise CheckpointError(f"CiaoSR with MLPs of different widths {lists} is not known.")
    state = bare(state)
    spec = args["encoder"]
    if spec.get("type") not in ENCODERS:
        raise CheckpointError(f"the encoder {spec.get('type')!r} is not known; known: {', '.join(ENCODERS)}.")
    trunk = {key: value for key, value in state.items() if not key.startswith(OURS)}
    encoder = ENCODERS[spec["type"]](spec, trunk)
    scales = tuple(args.get("multi_scale", (2,))) if args.get("non_local_attn", True) else ()
    config = CiaosrConfig(hidden=lists[0], local_size=args.get("local_size", 2), non_local_scales=scales)
    decoder = CiaosrDecoder(encoder.width, config)
    names = {
        "attention.fine": "cs_attn.conv_match_1",
        "attention.coarse": "cs_attn.conv_match_2",
        "attention.content": "cs_attn.conv_assembly",
    }
    names = {f"{ours}.{k}": f"{theirs}.{k}" for ours, theirs in names.items() for k in (0, 1)}
    names |= {f"attention.down.{k}": f"cs_attn.{DOWN[scale]}" for k, scale in enumerate(scales)}
    for ours, theirs, mlp in (
        ("mlp_colour", "imnet_q", decoder.mlp_colour),
        ("mlp_key", "imnet_k", decoder.mlp_key),
        ("mlp_value", "imnet_v", decoder.mlp_value),
    ):
        names |= layers(ours, f"{theirs}.layers", mlp)
    unused = ["cs_attn.escape_NaN"] + ([] if 2 in scales else ["cs_attn.down."])  # theirs is always there
    fill(decoder, {key: value for key, value in state.items() if key.startswith(OURS)}, names, unused)
    return Composed(encoder, decoder).eval()


def bare(state: State) -> State:
    """The same tensors without the prefix of the network's part in training."""
    for prefix in PREFIXES:
        if any(key.startswith(prefix) for key in state):
            return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return state


def edsr(spec: Mapping[str, Any], state: State) -> EdsrEncoder:
    """As mmedit names it; there is no mean shift inside."""
    depth = int(spec["num_blocks"])
    scale = float(spec.get("res_scale", 1))
    encoder = EdsrEncoder(
        EdsrConfig(width=spec["mid_channels"], depth=depth, residual_scale=scale, normalisation="mean")
    )
    names = {"head": "conv_first", f"body.{depth}": "conv_after_body"}
    for block in range(depth):
        names[f"body.{block}.first"] = f"body.{block}.conv1"
        names[f"body.{block}.second"] = f"body.{block}.conv2"
    fill(encoder, state, names)
    return encoder


def rdn(spec: Mapping[str, Any], state: State) -> RdnEncoder:
    """As mmedit names it."""
    config = RdnConfig(
        width=spec["mid_channels"],
        blocks=spec["num_blocks"],
        depth=spec.get("num_layers", 8),
        growth=spec.get("channel_growth", 64),
        normalisation="mean",
    )
    encoder = RdnEncoder(config)
    names = {"head": "sfe1", "shallow": "sfe2", "fusion": "gff.0", "tail": "gff.1"}
    for block in range(config.blocks):
        names[f"blocks.{block}.fusion"] = f"rdbs.{block}.lff"
        for layer in range(config.depth):
            names[f"blocks.{block}.layers.{layer}"] = f"rdbs.{block}.layers.{layer}.conv"
    fill(encoder, state, names)
    return encoder


def swinir(spec: Mapping[str, Any], state: State) -> SwinirEncoder:
    """Without the convolution before the upsampler: the decoder takes the inner channels, 180 in the released file."""
    if len(set(spec["num_heads"])) != 1 or spec.get("resi_connection", "1conv") != "1conv":
        raise CheckpointError(f"SwinIR with {spec} is not known.")
    config = SwinirConfig(
        width=None,
        inner=spec["embed_dim"],
        depths=tuple(spec["depths"]),
        heads=spec["num_heads"][0],
        window=spec["window_size"],
        expansion=spec["mlp_ratio"],
        normalisation="mean",
    )
    encoder = SwinirEncoder(config)
    names = {ours: theirs for ours, theirs in names_of(config).items() if ours != "tail"}
    fill(encoder, state, names, [key for key in state if key.endswith(COMPUTED)])
    return encoder


ENCODERS: dict[str, Callable[[Mapping[str, Any], State], Encoder]] = {"EDSR": edsr, "RDN": rdn, "SwinIR": swinir}
