"""The encoders as the LIIF family's repositories ship them: github.com/yinboc/liif. Only names and shapes are facts
taken from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anyzoom.checkpoint.upstream.fill import State, fill, part
from anyzoom.checkpoint.upstream.rdn import rdn
from anyzoom.checkpoint.upstream.swinir import swinir
from anyzoom.errors import CheckpointError
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.network import Encoder

EDSR_DEFAULTS: dict[str, dict[str, Any]] = {
    "edsr-baseline": {"n_resblocks": 16, "n_feats": 64, "res_scale": 1},
    "edsr": {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1},
}


def edsr(kind: str, args: Mapping[str, Any], state: State, prefix: str) -> EdsrEncoder:
    """The mean shift is stored in every EDSR file and never called."""
    facts = EDSR_DEFAULTS[kind] | dict(args)
    if not facts.get("no_upsampling", False):
        raise CheckpointError("this EDSR has its own upsampler; only the trunk (no_upsampling) is known here.")
    depth = int(facts["n_resblocks"])
    encoder = EdsrEncoder(EdsrConfig(width=facts["n_feats"], depth=depth, residual_scale=facts["res_scale"]))
    names = {"head": "head.0", f"body.{depth}": f"body.{depth}"}
    for block in range(depth):
        names[f"body.{block}.first"] = f"body.{block}.body.0"
        names[f"body.{block}.second"] = f"body.{block}.body.2"
    unused = (f"{prefix}sub_mean.", f"{prefix}add_mean.")
    fill(encoder, part(state, prefix), {ours: prefix + theirs for ours, theirs in names.items()}, unused)
    return encoder


# By the names that official files use: of the name, its arguments, a state dict and the prefix of the encoder's keys.
ENCODERS: dict[str, Callable[[str, Mapping[str, Any], State, str], Encoder]] = {
    "edsr-baseline": edsr,
    "edsr": edsr,
    "rdn": rdn,
    "swinir": swinir,
}


def encoder_of(spec: Mapping[str, Any], state: State, prefix: str = "encoder.") -> Encoder:
    """The encoder that `encoder_spec` describes, with the tensors under the prefix."""
    name = spec["name"]
    if name not in ENCODERS:
        raise CheckpointError(f"the encoder {name!r} is not known; known: {', '.join(ENCODERS)}.")
    return ENCODERS[name](name, spec.get("args") or {}, state, prefix)
