"""SwinIR's trunk as LTE's repository ships it: github.com/jaewon-lee-b/lte. Only names and shapes are facts taken from
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.fill import State, fill, part
from anyzoom.errors import CheckpointError
from anyzoom.models.encoders.swinir import SwinirConfig, SwinirEncoder

# The published network; the option is accepted and ignored there, and changes no tensor.
DEFAULTS: dict[str, Any] = {
    "img_size": 48,
    "embed_dim": 180,
    "depths": [6] * 6,
    "num_heads": [6] * 6,
    "window_size": 8,
    "mlp_ratio": 2,
    "no_upsampling": True,
}
COMPUTED = (".attn.relative_position_index", ".attn_mask")  # here, not read
FIXED: dict[str, Any] = {"patch_size": 1, "in_chans": 3, "upsampler": "none", "resi_connection": "1conv"}


def swinir(_: str, args: Mapping[str, Any], state: State, prefix: str) -> SwinirEncoder:
    """The tables of positions and masks in the file are computed here."""
    facts = DEFAULTS | FIXED | dict(args)
    for option, value in facts.items():
        if option in FIXED and value != FIXED[option]:
            raise CheckpointError(f"SwinIR with {option} {value!r} is not known, only with {FIXED[option]!r}.")
        if option not in DEFAULTS | FIXED:
            raise CheckpointError(f"SwinIR's option {option} is not known.")
    if len(set(facts["num_heads"])) != 1 or len(facts["num_heads"]) != len(facts["depths"]):
        raise CheckpointError(f"every stage of SwinIR must have as many heads, found {facts['num_heads']}.")
    if facts["img_size"] <= facts["window_size"]:
        raise CheckpointError("SwinIR made for pictures of one window does not shift its windows; that is not known.")
    config = SwinirConfig(
        inner=facts["embed_dim"],
        depths=tuple(facts["depths"]),
        heads=facts["num_heads"][0],
        window=facts["window_size"],
        expansion=facts["mlp_ratio"],
    )
    encoder = SwinirEncoder(config)
    names = {ours: prefix + theirs for ours, theirs in names_of(config).items()}
    own = part(state, prefix)
    fill(encoder, own, names, [key for key in own if key.endswith(COMPUTED)])
    return encoder


def names_of(config: SwinirConfig) -> dict[str, str]:
    """Our layers -> theirs."""
    names = {
        "head": "conv_first",
        "first_norm": "patch_embed.norm",
        "last_norm": "norm",
        "body": "conv_after_body",
        "tail": "conv_before_upsample.0",
    }
    for stage, depth in enumerate(config.depths):
        names[f"stages.{stage}.convolution"] = f"layers.{stage}.conv"
        for block in range(depth):
            ours, theirs = f"stages.{stage}.blocks.{block}", f"layers.{stage}.residual_group.blocks.{block}"
            names[f"{ours}.first_norm"] = f"{theirs}.norm1"
            names[f"{ours}.qkv"] = f"{theirs}.attn.qkv"
            names[f"{ours}.biases"] = f"{theirs}.attn.relative_position_bias_table"
            names[f"{ours}.mixed"] = f"{theirs}.attn.proj"
            names[f"{ours}.second_norm"] = f"{theirs}.norm2"
            names[f"{ours}.widen"] = f"{theirs}.mlp.fc1"
            names[f"{ours}.narrow"] = f"{theirs}.mlp.fc2"
    return names
