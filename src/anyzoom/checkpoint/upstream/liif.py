"""LIIF's official files: github.com/yinboc/liif."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.fill import State, besides, fill, layers
from anyzoom.errors import CheckpointError
from anyzoom.models.decoders.liif import LiifConfig, LiifDecoder
from anyzoom.models.network import Composed, ContinuousSR


def liif(args: Mapping[str, Any], state: State) -> ContinuousSR:
    """args: encoder_spec, imnet_spec; without an ensemble, unfolding or cells no network was published."""
    for option in ("local_ensemble", "feat_unfold", "cell_decode"):
        if not args.get(option, True):
            raise CheckpointError(f"LIIF without {option} is not known; the published networks have it.")
    encoder = encoder_of(args["encoder_spec"], state)
    decoder = LiifDecoder(encoder.width, LiifConfig(hidden=tuple(args["imnet_spec"]["args"]["hidden_list"])))
    fill(decoder, besides(state, "encoder."), layers("mlp", "imnet.layers", decoder.mlp))
    return Composed(encoder, decoder).eval()
