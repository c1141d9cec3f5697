"""Official state dicts that do not fit. Their parity with the authors' networks is held in tests/models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size
from anyzoom.models import Composed

EDSR = {"n_resblocks": 1, "n_feats": 4, "no_upsampling": True}
LMI: dict[str, Any] = {
    "encoder_spec": {"name": "edsr-baseline", "args": EDSR},
    "imnet_spec": {"name": "mixer", "args": {"depth": 1}},
}


def edsr_state(prefix: str = "") -> dict[str, Tensor]:
    shapes = {"head.0": (4, 3, 3, 3), "body.1": (4, 4, 3, 3), "sub_mean": (3, 3, 1, 1), "add_mean": (3, 3, 1, 1)}
    shapes |= {f"body.0.body.{layer}": (4, 4, 3, 3) for layer in (0, 2)}
    state = {}
    for name, shape in shapes.items():
        state[f"{prefix}{name}.weight"] = torch.randn(shape)
        state[f"{prefix}{name}.bias"] = torch.randn(shape[0])
    return state


def lmi_state() -> dict[str, Tensor]:
    block = "imnet.mixer_blocks.0."
    shapes = {
        "metanet.layers.0": (4, 33),
        "metanet.layers.2": (64, 4),
        f"{block}token_mix.0.net.0": (32, 32),
        f"{block}token_mix.0.net.2": (16, 32),
        f"{block}channel_mix.0.net.0": (8, 10),
        f"{block}channel_mix.0.net.2": (4, 8),
        "imnet.out": (3, 4),
    }
    state = edsr_state("encoder.")
    for name, shape in shapes.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.randn(shape), torch.randn(shape[0])
    return state


STATES = {"edsr": (EDSR, edsr_state), "lmi": (LMI, lmi_state)}


@pytest.mark.parametrize("arch", STATES)
def test_every_tensor_finds_its_place(arch: str) -> None:
    """Half precision is taken too, the never used mean shift may be absent, and nothing is shared with the file."""
    args, make = STATES[arch]
    state = make()
    network = load_upstream(arch, args, {key: value.half() for key, value in state.items()})
    ours = list(network.state_dict().values())
    assert all(value.dtype == torch.float32 for value in ours)
    theirs = {key: value for key, value in state.items() if "mean" not in key}
    assert sorted(v.sum().item() for v in ours) == pytest.approx(
        sorted(v.half().float().sum().item() for v in theirs.values())
    )
    without = load_upstream(arch, args, theirs)
    theirs["head.0.bias" if arch == "edsr" else "encoder.head.0.bias"].fill_(100)
    assert max(value.abs().max() for value in without.state_dict().values()) < 50


def test_an_imported_network_works() -> None:
    network = load_upstream("lmi", LMI, lmi_state())
    assert isinstance(network, Composed)
    assert not network.training
    assert network(torch.rand(1, 3, 5, 6), Size(11, 13)).shape == (1, 3, 11, 13)


@pytest.mark.parametrize(
    ("arch", "key", "words"),
    [
        ("edsr", "body.0.body.2.bias", "the state dict lacks body.0.body.2.bias"),
        ("lmi", "encoder.head.0.weight", "the state dict lacks encoder.head.0.weight"),
        ("lmi", "imnet.out.bias", "the state dict lacks imnet.out.bias"),
    ],
)
def test_names_the_key_that_is_missing(arch: str, key: str, words: str) -> None:
    args, make = STATES[arch]
    state = make()
    del state[key]
    with pytest.raises(CheckpointError, match=words):
        load_upstream(arch, args, state)


@pytest.mark.parametrize(
    ("arch", "key", "words"),
    [
        ("edsr", "tail.0.weight", "the state dict holds tail.0.weight, which this architecture does not have"),
        ("lmi", "encoder.body.7.weight", "the state dict holds encoder.body.7.weight"),
        ("lmi", "imnet.mixer_blocks.1.a", "the state dict holds imnet.mixer_blocks.1.a"),
    ],
)
def test_names_the_key_that_is_unexpected(arch: str, key: str, words: str) -> None:
    args, make = STATES[arch]
    with pytest.raises(CheckpointError, match=words):
        load_upstream(arch, args, make() | {key: torch.zeros(1)})


@pytest.mark.parametrize(("arch", "key"), [("edsr", "head.0.weight"), ("lmi", "metanet.layers.2.weight")])
def test_names_the_key_of_another_shape(arch: str, key: str) -> None:
    args, make = STATES[arch]
    with pytest.raises(CheckpointError, match=rf"{key} is \(2, 2\), expected \("):
        load_upstream(arch, args, make() | {key: torch.zeros(2, 2)})


@pytest.mark.parametrize(
    ("arch", "args", "words"),
    [
        ("vdsr", {}, "unknown architecture 'vdsr'; known: edsr, "),
        ("edsr", {**EDSR, "no_upsampling": False}, "this EDSR has its own upsampler"),
        ("edsr", {**EDSR, "n_feats": "many"}, "constructor arguments of edsr cannot be used"),
        ("lmi", {}, "constructor arguments of lmi lack 'imnet_spec'"),
        ("lmi", {**LMI, "encoder_spec": 3}, "constructor arguments of lmi cannot be used"),
        ("lmi", {**LMI, "encoder_spec": {"name": "vdsr"}}, "the encoder 'vdsr' is not known"),
        ("lmi", {**LMI, "imnet_spec": {"args": {"depth": 2}}}, "LMI with 2 mixer blocks is not known"),
    ],
)
def test_refuses_networks_it_does_not_know(arch: str, args: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load_upstream(arch, args, lmi_state())
