"""The authors' own state dicts, under their own key names, into our networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from anyzoom.checkpoint.upstream.arbsr import arbsr
from anyzoom.checkpoint.upstream.ciaosr import ciaosr
from anyzoom.checkpoint.upstream.clit import clit
from anyzoom.checkpoint.upstream.ddir import ddir
from anyzoom.checkpoint.upstream.encoders import encoder_of
from anyzoom.checkpoint.upstream.eqsr import eqsr
from anyzoom.checkpoint.upstream.fill import State
from anyzoom.checkpoint.upstream.itsrn import itsrn
from anyzoom.checkpoint.upstream.liif import liif
from anyzoom.checkpoint.upstream.linf import linf
from anyzoom.checkpoint.upstream.lmi import lmi
from anyzoom.checkpoint.upstream.lte import lte, lte_plus
from anyzoom.checkpoint.upstream.metasr import metasr
from anyzoom.checkpoint.upstream.srno import srno
from anyzoom.errors import CheckpointError
from anyzoom.models.network import ContinuousSR, Encoder

__all__ = ["load_upstream"]


def _encoder(name: str, args: Mapping[str, Any], state: State) -> Encoder:
    return encoder_of({"name": name, "args": args}, state, "").eval()


ARCHITECTURES: dict[str, Callable[[Mapping[str, Any], State], ContinuousSR | Encoder]] = {
    "edsr": partial(_encoder, "edsr-baseline"),
    "rdn": partial(_encoder, "rdn"),
    "swinir": partial(_encoder, "swinir"),
    "liif": liif,
    "metasr": metasr,
    "itsrn": itsrn,
    "lte": lte,
    "lte+": lte_plus,
    "linf": linf,
    "lmi": lmi,
    "srno": srno,
    "lit": clit,
    "clit": clit,
    "ddir": ddir,
    "ciaosr": ciaosr,
    "arbsr": arbsr,
    "eqsr": eqsr,
}


def load_upstream(arch: str, args: Mapping[str, Any], state: State) -> ContinuousSR | Encoder:
    """An official network with its official weights.

    arch: a name of ARCHITECTURES; those of encoders return the encoder alone. args: the constructor arguments as the
    official file stores them. state: tensors under the official keys. Raises CheckpointError naming the first key
    that is missing, unexpected or of another shape.
    """
    if arch not in ARCHITECTURES:
        raise CheckpointError(f"unknown architecture {arch!r}; known: {', '.join(ARCHITECTURES)}.")
    try:
        return ARCHITECTURES[arch](args, state)
    except KeyError as error:
        raise CheckpointError(f"the constructor arguments of {arch} lack {error}.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"the constructor arguments of {arch} cannot be used: {error}") from error
