"""EQSR's official files: github.com/neuralchen/EQSR. Only names and shapes are facts taken from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.fill import State, fill
from anyzoom.errors import CheckpointError
from anyzoom.models.eqsr import Eqsr, EqsrConfig
from anyzoom.models.network import ContinuousSR

# What every published configuration says; another value would be another network.
CONSTANTS: dict[str, Any] = {
    "in_chans": 3,
    "img_range": 1.0,
    "upsampler": "pixelshuffle",
    "resi_connection": "1conv",
    "patch_size": 1,
    "qkv_bias": True,
    "qk_scale": None,
    "ape": False,
    "patch_norm": True,
    "drop_rate": 0.0,
    "attn_drop_rate": 0.0,
}
# What changes no pixel: of branches that are switched off, or of training's memory.
UNREAD = {"type", "upscale", "compress_ratio", "squeeze_factor", "conv_scale", "use_checkpoint"}
READ: dict[str, Any] = {
    "embed_dim": 96,
    "depths": (6, 6, 6, 6),
    "num_heads": (6, 6, 6, 6),
    "window_size": 7,
    "overlap_ratio": 0.5,
    "mlp_ratio": 4.0,
    "drop_path_rate": 0.1,
    "img_size": 64,
    "latent_dim": 256,  # a literal in the released code
}


def eqsr(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: those of the class EQSR, its own defaults where they are missing."""
    for option, value in args.items():
        if option not in CONSTANTS.keys() | UNREAD | READ.keys():
            raise CheckpointError(f"EQSR's option {option!r} is not known.")
        if option in CONSTANTS and value != CONSTANTS[option]:
            raise CheckpointError(
                f"EQSR with {option}={value!r} is not known; the published one has {CONSTANTS[option]!r}."
            )
    facts = READ | dict(args)
    heads, depths = facts["num_heads"], facts["depths"]
    if len(set(heads)) != 1 or len(heads) != len(depths):
        raise CheckpointError(f"EQSR with num_heads={heads} for depths={depths} is not known; all groups have as many.")
    if facts["img_size"] <= facts["window_size"]:
        raise CheckpointError("EQSR with an img_size of one window, which shifts no windows, is not known.")
    network = Eqsr(
        EqsrConfig(
            width=facts["embed_dim"],
            blocks=tuple(depth - 1 for depth in depths),
            heads=heads[0],
            window=facts["window_size"],
            overlap=facts["overlap_ratio"],
            mlp_ratio=facts["mlp_ratio"],
            latent=facts["latent_dim"],
            dropped=facts["drop_path_rate"],
        )
    )
    fill(network, state, names_of(network), unused=("relative_position_index_",))
    return network.eval()


def names_of(network: Eqsr) -> dict[str, str]:
    names = {
        "first": "conv_first",
        "backbone.norm_in": "patch_embed.norm",
        "backbone.norm_out": "norm",
        "backbone.conv": "conv_after_body",
        "upsampler.head": "upsample.head.0",
        "upsampler.colour": "upsample.to_rgb.1",
        "upsampler.length": "upsample.rbf1.lengthscale",
    }
    block = {
        "norm_in": "norm1",
        "norm_out": "norm2",
        "perceptron.wide": "mlp.fc1",
        "perceptron.narrow": "mlp.fc2",
    }
    attention = {"qkv": "qkv", "project": "proj", "bias": "relative_position_bias_table"}
    extractor = {
        "enter": "net1",
        "norm_in": "norm1.0",
        "modulated": "net2",
        "modulated.style": "net2.to_style",
        "norm_out": "norm2.0",
        "squeeze": "net3.0.gate.1",
        "excite": "net3.0.gate.3",
        "leave": "net3.1",
    }
    kriging = {
        "norm_in": "norm1.body",
        "enter": "conv1",
        "narrow": "attn.seblock.0",
        "kernel": "attn.seblock.2",
        "leave": "conv2",
        "norm_out": "norm2.body",
        "wide": "ffn.conv1",
        "back": "ffn.conv2",
        "gain": "ffn.CA.conv",
    }
    for g, count in enumerate(network.config.blocks):
        ours, theirs = f"backbone.groups.{g}", f"layers.{g}.residual_group"
        names[f"{ours}.conv"] = f"layers.{g}.conv"
        names |= {f"{ours}.extractor.{a}": f"{theirs}.mbconv.{b}" for a, b in extractor.items()}
        places = {f"{ours}.blocks.{k}": (f"{theirs}.blocks.{k}", "attn.") for k in range(count)}
        places[f"{ours}.overlapping"] = (f"{theirs}.overlap_attn", "")
        for own, (other, inner) in places.items():
            names |= {f"{own}.{a}": f"{other}.{b}" for a, b in block.items()}
            names |= {f"{own}.attention.{a}": f"{other}.{inner}{b}" for a, b in attention.items()}
    for k in range(2):
        names |= {f"upsampler.blocks.{k}.{a}": f"upsample.inv{k + 1}.{b}" for a, b in kriging.items()}
    return names
