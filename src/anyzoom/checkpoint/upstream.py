"""The authors' own state dicts, under their own key names, into our networks.

LMI: github.com/pf0607/COZ; EDSR as the LIIF family ships it: github.com/yinboc/liif. Only names and shapes are facts
taken from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.lmi import LmiDecoder
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.network import Composed, ContinuousSR

State = Mapping[str, Tensor]

EDSR_DEFAULTS: dict[str, dict[str, Any]] = {
    "edsr-baseline": {"n_resblocks": 16, "n_feats": 64, "res_scale": 1},
    "edsr": {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1},
}
UNUSED = ("sub_mean.", "add_mean.")  # the mean shift, stored in every EDSR file and never called


def load_upstream(arch: str, args: Mapping[str, Any], state: State) -> ContinuousSR | EdsrEncoder:
    """An official network with its official weights.

    arch: "lmi", or "edsr" for the encoder alone. args: the constructor arguments as the official file stores them.
    state: tensors under the official keys. Raises CheckpointError naming the first key that is missing, unexpected
    or of another shape.
    """
    if arch not in ARCHITECTURES:
        raise CheckpointError(f"unknown architecture {arch!r}; known: {', '.join(ARCHITECTURES)}.")
    try:
        return ARCHITECTURES[arch](args, state)
    except KeyError as error:
        raise CheckpointError(f"the constructor arguments of {arch} lack {error}.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"the constructor arguments of {arch} cannot be used: {error}") from error


def _edsr(args: Mapping[str, Any], state: State, kind: str = "edsr-baseline", prefix: str = "") -> EdsrEncoder:
    facts = EDSR_DEFAULTS[kind] | dict(args)
    if not facts.get("no_upsampling", False):
        raise CheckpointError("this EDSR has its own upsampler; only the trunk (no_upsampling) is known here.")
    depth = int(facts["n_resblocks"])
    encoder = EdsrEncoder(EdsrConfig(width=facts["n_feats"], depth=depth, residual_scale=facts["res_scale"]))
    names = {"head": "head.0", f"body.{depth}": f"body.{depth}"}
    for block in range(depth):
        names[f"body.{block}.first"] = f"body.{block}.body.0"
        names[f"body.{block}.second"] = f"body.{block}.body.2"
    _fill(encoder, state, {ours: prefix + theirs for ours, theirs in names.items()}, prefix)
    return encoder


def _lmi(args: Mapping[str, Any], state: State) -> ContinuousSR:
    spec, mixer = args["encoder_spec"], args["imnet_spec"].get("args", {})
    if spec["name"] not in EDSR_DEFAULTS:
        raise CheckpointError(f"LMI on the encoder {spec['name']!r} is not known; known: {', '.join(EDSR_DEFAULTS)}.")
    if mixer.get("depth", 1) != 1:
        raise CheckpointError(f"LMI with {mixer['depth']} mixer blocks is not known; the published networks have one.")
    encoder = _edsr(spec.get("args", {}), state, spec["name"], "encoder.")
    decoder = LmiDecoder(encoder.width)
    block = "imnet.mixer_blocks.0."
    names = {
        "meta_in": "metanet.layers.0",
        "meta_out": "metanet.layers.2",
        "token_in": block + "token_mix.0.net.0",
        "token_out": block + "token_mix.0.net.2",
        "channel_in": block + "channel_mix.0.net.0",
        "channel_out": block + "channel_mix.0.net.2",
        "colour": "imnet.out",
    }
    _fill(decoder, {key: value for key, value in state.items() if not key.startswith("encoder.")}, names, "")
    return Composed(encoder, decoder).eval()


def _fill(module: nn.Module, state: State, names: Mapping[str, str], prefix: str) -> None:
    """Copy tensors by the names of their layers; every tensor under the prefix must be used."""
    wanted = {}
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            wanted[f"{ours}.{part}"] = f"{theirs}.{part}"
    for ours, own in module.state_dict().items():
        theirs = wanted[ours]
        if theirs not in state:
            raise CheckpointError(f"the state dict lacks {theirs}.")
        if state[theirs].shape != own.shape:
            raise CheckpointError(f"{theirs} is {tuple(state[theirs].shape)}, expected {tuple(own.shape)}.")
    used = set(wanted.values())
    for key in state:
        if key.startswith(prefix) and key not in used and not key.removeprefix(prefix).startswith(UNUSED):
            raise CheckpointError(f"the state dict holds {key}, which this architecture does not have.")
    module.load_state_dict({ours: state[theirs].float() for ours, theirs in wanted.items()})


ARCHITECTURES: dict[str, Callable[[Mapping[str, Any], State], ContinuousSR | EdsrEncoder]] = {
    "edsr": _edsr,
    "lmi": _lmi,
}
