"""Official files of the networks we know. What a file holds is read off its structure, its keys and their shapes.

Four structures are met: {"model": {"name", "args", "sd"}} (LIIF and its descendants), {"params_ema"} (BasicSR),
{"state_dict"} with keys under "generator." (mmcv), and a bare state dict. Files are read with PyTorch's restricted
loader: tensors and plain data alone, nothing in a file is ever executed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anyzoom.checkpoint.card import Card
from anyzoom.checkpoint.store import save_checkpoint
from anyzoom.checkpoint.upstream import load_upstream
from anyzoom.checkpoint.upstream.fill import State
from anyzoom.errors import CheckpointError
from anyzoom.models import ContinuousSR
from anyzoom.models.table import described

# The names under which official files register their networks.
REGISTERED = {
    "metasr": "metasr",
    "liif": "liif",
    "lte": "lte",
    "lte-fast": "lte+",
    "ITNSR": "itsrn",
    "linf": "linf",
    "linf-patch": "linf",
    "sronet": "srno",
    "clit": "clit",
    "lmi": "lmi",
    "liif-globaldeform": "ddir",
}

# Keys that tell the networks apart; the first row whose keys are all there decides.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "clit": ("pb_encoder.proj.weight", "conv_ch.weight", "imnets.0.layers.0.weight"),
    "ciaosr": ("imnet_q.layers.0.weight", "imnet_k.layers.0.weight", "imnet_v.layers.0.weight"),
    "ddir": ("deformnet.layers.0.weight", "imnet.layers.0.weight"),
    "itsrn": ("Score.layers.0.weight", "Weight.layers.0.weight", "imnet.layers.0.weight"),
    "linf": ("imnet.last._weight", "coef.weight", "phase.weight"),
    "srno": ("conv00.weight", "conv0.qkv_proj.weight", "fc1.weight"),
    "lte": ("phase.weight", "coef.weight", "imnet.layers.0.weight"),
    "lte+": ("phase.weight", "coef.weight", "layers.0.weight"),
    "lmi": ("metanet.layers.0.weight", "imnet.out.weight"),
    "arbsr": ("sa_upsample.offset.weight", "sa_adapt.0.mask.0.weight", "head.0.weight"),
    "eqsr": ("upsample.rbf1.lengthscale", "upsample.head.0.weight", "conv_first.weight"),
    "metasr": ("P2W.meta_block.0.weight", "SFENet1.weight"),
    "liif": ("imnet.layers.0.weight", "imnet.layers.2.weight"),
}


class Foreign(NamedTuple):
    """What load_upstream takes."""

    arch: str
    args: Mapping[str, Any]
    state: State


def import_foreign(path: Path, output: Path) -> Card:
    """Write an official file's network as a checkpoint of ours, in float32. Raises CheckpointError for any other."""
    found = read_foreign(path)
    try:
        network = load_upstream(found.arch, found.args, found.state)
    except CheckpointError as error:
        raise CheckpointError(f"{path} looks most like {found.arch}, but {error}") from error
    if not isinstance(network, ContinuousSR):
        raise CheckpointError(f"{path} holds the encoder {found.arch} alone, which cannot zoom.")
    model, config = described(network)
    card = Card(
        name=output.stem,
        model=model,
        config=config,
        summary=f"Imported from {path.name} ({found.arch}).",
        licence="as its authors state",
    )
    save_checkpoint(output, network, card, torch.float32)
    return card


def read_foreign(path: Path) -> Foreign:
    """The architecture, its constructor arguments and its tensors. Raises CheckpointError for anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}.") from error
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not a PyTorch file that holds tensors and plain data alone. Others could run any code and "
            f"are never opened."
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a network's tensors.")
    model = content.get("model")
    if isinstance(model, Mapping) and {"name", "sd"} <= model.keys():
        return _registered(path, model)
    for wrapper in ("params_ema", "params", "state_dict"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    state = _tensors(path, content)
    arch = _recognised(path, state)
    return Foreign(
        "lit" if arch == "clit" and _count(state, r"imnets\.(\d+)\.") == 1 else arch, ARGS[arch](state), state
    )


def _registered(path: Path, model: Mapping[str, Any]) -> Foreign:
    name, args, state = model["name"], dict(model.get("args") or {}), _tensors(path, model["sd"])
    if name not in REGISTERED:
        raise CheckpointError(f"{path} holds a network called {name!r}; known: {', '.join(REGISTERED)}.")
    arch = REGISTERED[name]
    return Foreign("lit" if arch == "clit" and args.get("imnet_num", 1) == 1 else arch, args, state)


def _tensors(path: Path, content: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict without the prefixes that wrappers add; of mmcv's two generators the averaged one."""
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    for prefix in ("generator_ema.", "generator."):
        inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if inside:
            state = inside
            break
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path} is no state dict: {key} is a {type(value).__name__}, not a tensor.")
    if not state:
        raise CheckpointError(f"{path} holds no tensors.")
    return state


def _recognised(path: Path, state: State) -> str:
    for arch, keys in SIGNATURES.items():
        if all(key in state for key in keys):
            if arch == "liif" and state[keys[0]].shape[1] == 3:
                return "metasr"
            return arch
    nearest = max(SIGNATURES, key=lambda arch: sum(key in state for key in SIGNATURES[arch]))
    missing = next(key for key in SIGNATURES[nearest] if key not in state)
    raise CheckpointError(
        f"{path} holds no network that is known here. The nearest is {nearest}, but {missing} is missing and the "
        f"first key is {next(iter(state))}."
    )


def _count(state: State, pattern: str) -> int:
    """How many different numbers stand where the pattern has its group."""
    return len({found[1] for key in state if (found := re.match(pattern, key))})


def _hidden(state: State, name: str) -> list[int]:
    """The widths of an MLP's hidden layers."""
    weights = [state[f"{name}.{k}.weight"] for k in range(0, 64, 2) if f"{name}.{k}.weight" in state]
    return [len(weight) for weight in weights[:-1]]


def _encoder(state: State, prefix: str = "encoder.") -> dict[str, Any]:
    """encoder_spec, from shapes."""
    if f"{prefix}SFENet1.weight" in state:
        args: dict[str, Any] = {
            "G0": len(state[f"{prefix}SFENet1.weight"]),
            "D": _count(state, rf"{re.escape(prefix)}RDBs\.(\d+)\."),
            "C": _count(state, rf"{re.escape(prefix)}RDBs\.0\.convs\.(\d+)\."),
            "G": len(state[f"{prefix}RDBs.0.convs.0.conv.0.weight"]),
            "RDNkSize": 3,
            "no_upsampling": True,
        }
        return {"name": "rdn", "args": args}
    if f"{prefix}patch_embed.norm.weight" in state:
        stages = _count(state, rf"{re.escape(prefix)}layers\.(\d+)\.")
        blocks = [
            _count(state, rf"{re.escape(prefix)}layers\.{k}\.residual_group\.blocks\.(\d+)\.") for k in range(stages)
        ]
        table = state[f"{prefix}layers.0.residual_group.blocks.0.attn.relative_position_bias_table"]
        hidden = len(state[f"{prefix}layers.0.residual_group.blocks.0.mlp.fc1.weight"])
        width = len(state[f"{prefix}patch_embed.norm.weight"])
        args = {
            "embed_dim": width,
            "depths": blocks,
            "num_heads": [table.shape[1]] * stages,
            "window_size": _window(table),
            "mlp_ratio": hidden / width,
            "upsampler": "none",
        }
        return {"name": "swinir", "args": args}
    if f"{prefix}head.0.weight" not in state:
        raise CheckpointError(f"no encoder that is known here stands under {prefix!r}.")
    width = len(state[f"{prefix}head.0.weight"])
    depth = _count(state, rf"{re.escape(prefix)}body\.(\d+)\.body\.")
    scale = 0.1 if (width, depth) == (256, 32) else 1
    return {
        "name": "edsr-baseline",
        "args": {"n_resblocks": depth, "n_feats": width, "res_scale": scale, "no_upsampling": True},
    }


def _window(table: Tensor) -> int:
    """The side of a window from the table of its relative positions, (2 w - 1)^2 rows."""
    return (math.isqrt(len(table)) + 1) // 2


def _mlp(state: State, name: str = "imnet.layers", **more: Any) -> dict[str, Any]:
    return {"name": "mlp", "args": {"out_dim": 3, "hidden_list": _hidden(state, name), **more}}


def _clit(state: State) -> dict[str, Any]:
    stages = _count(state, r"imnets\.(\d+)\.")
    base, taps = len(state["conv_ch.weight"]), state["imnets.0.layers.0.weight"].shape[1] - 2
    return {
        "base_dim": base,
        "head": len(state["pb_encoder.proj.weight"]),
        "r": (math.isqrt(taps // base) - 1) // 2,
        "imnet_num": stages,
        "conv_num": stages,
        "is_cell": True,
        "local_attn": True,
        "encoder_spec": _encoder(state),
        "pb_spec": {
            "name": "posenc",
            "args": {
                "posenc_type": "sinusoid",
                "posenc_scale": 10,
                "hidden_dims": 64,
                "enc_dims": state["pb_encoder.proj.weight"].shape[1],
                "gamma": 1,
            },
        },
        "imnet_spec": _mlp(state, "imnets.0.layers", act="gelu"),
    }


def _ciaosr(state: State) -> dict[str, Any]:
    if "conv_first.weight" in state and "patch_embed.norm.weight" not in state:
        encoder = {
            "type": "EDSR",
            "in_channels": 3,
            "out_channels": 3,
            "mid_channels": len(state["conv_first.weight"]),
            "num_blocks": _count(state, r"body\.(\d+)\."),
        }
    elif "sfe1.weight" in state:
        encoder = {
            "type": "RDN",
            "in_channels": 3,
            "out_channels": 3,
            "mid_channels": len(state["sfe1.weight"]),
            "num_blocks": _count(state, r"rdbs\.(\d+)\."),
            "num_layers": _count(state, r"rdbs\.0\.layers\.(\d+)\."),
            "channel_growth": len(state["rdbs.0.layers.0.conv.weight"]),
        }
    else:
        encoder = {"type": "SwinIR", **_encoder(state, "")["args"]}
    scales = [scale for scale, name in ((2, "down"), (3, "downx3"), (4, "downx4")) if f"cs_attn.{name}.weight" in state]
    return {
        "encoder": encoder,
        "imnet_q": {"hidden_list": _hidden(state, "imnet_q.layers"), "out_dim": 3},
        "imnet_k": {"hidden_list": _hidden(state, "imnet_k.layers")},
        "imnet_v": {"hidden_list": _hidden(state, "imnet_v.layers")},
        "local_size": 2,
        "feat_unfold": True,
        "non_local_attn": "cs_attn.conv_assembly.0.weight" in state,
        "multi_scale": scales or [2],
        "softmax_scale": 1,
    }


def _eqsr(state: State) -> dict[str, Any]:
    groups = _count(state, r"layers\.(\d+)\.")
    table = state["layers.0.residual_group.blocks.0.attn.relative_position_bias_table"]
    width = len(state["conv_first.weight"])
    return {
        "upscale": 4,
        "in_chans": 3,
        "window_size": _window(table),
        "compress_ratio": 3,
        "squeeze_factor": 30,
        "conv_scale": 0.01,
        "overlap_ratio": 0.5,
        "img_range": 1.0,
        # The overlapping block counts as one.
        "depths": [_count(state, rf"layers\.{k}\.residual_group\.blocks\.(\d+)\.") + 1 for k in range(groups)],
        "embed_dim": width,
        "num_heads": [table.shape[1]] * groups,
        "mlp_ratio": len(state["layers.0.residual_group.blocks.0.mlp.fc1.weight"]) / width,
        "upsampler": "pixelshuffle",
        "resi_connection": "1conv",
        "latent_dim": len(state["upsample.head.0.weight"]),
    }


def _arbsr(state: State) -> dict[str, Any]:
    width = len(state["head.0.weight"])
    return {
        "n_resgroups": _count(state, r"sa_adapt\.(\d+)\."),
        "n_resblocks": _count(state, r"body\.0\.body\.(\d+)\.body\."),
        "n_feats": width,
        "reduction": width // len(state["body.0.body.0.body.3.conv_du.0.weight"]),
        "K": 1,
        "num_experts": len(state["sa_adapt.0.adapt.weight_pool"]),
        "rgb_range": 255,
        "n_colors": 3,
        "res_scale": 1,
    }


def _metasr(state: State) -> dict[str, Any]:
    return {"encoder_spec": _encoder(state, "" if "SFENet1.weight" in state else "encoder.")}


# The constructor arguments that the shapes of a bare state dict tell.
ARGS: dict[str, Callable[[State], dict[str, Any]]] = {
    "clit": _clit,
    "ciaosr": _ciaosr,
    "ddir": lambda state: {
        "encoder_spec": _encoder(state),
        "deformencoder_spec": _encoder(state, "deformencoder."),
        "imnet_spec": _mlp(state),
        "deformnet_spec": _mlp(state, "deformnet.layers"),
    },
    "itsrn": lambda state: {
        "feat_unfold": True,
        "local_ensemble": True,
        "scale_token": True,
        "encoder_spec": _encoder(state),
        "imnet_spec": _mlp(state, act="gelu"),
    },
    "linf": lambda state: {
        "encoder_spec": _encoder(state),
        "imnet_spec": {"name": "flow", "args": {"name": "flow"}},
        "flow_layers": _count(state, r"imnet\.linears\.(\d+)\."),
        "num_layer": len(_hidden(state, "layers")),
        "hidden_dim": len(state["coef.weight"]),
    },
    "srno": lambda state: {
        "encoder_spec": _encoder(state),
        "width": len(state["conv00.weight"]),
        "blocks": len(state["conv0.kln.weight"]),
    },
    "lte": lambda state: {
        "encoder_spec": _encoder(state),
        "imnet_spec": _mlp(state),
        "hidden_dim": len(state["coef.weight"]),
    },
    "lte+": lambda state: {
        "encoder_spec": _encoder(state),
        "num_layer": len(_hidden(state, "layers")),
        "hidden_dim": len(state["coef.weight"]),
        "out_dim": 3,
    },
    "lmi": lambda state: {
        "encoder_spec": _encoder(state),
        "imnet_spec": {"name": "mixer", "args": {"depth": _count(state, r"imnet\.mixer_blocks\.(\d+)\.")}},
    },
    "arbsr": _arbsr,
    "eqsr": _eqsr,
    "metasr": _metasr,
    "liif": lambda state: {"encoder_spec": _encoder(state), "imnet_spec": _mlp(state)},
}
