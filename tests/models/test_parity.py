"""Every network against golden outputs of its authors' own code (shared/parity)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from anyzoom.checkpoint import load_upstream
from anyzoom.grid import Size, cell_of, pixel_centres
from anyzoom.models import ContinuousSR
from anyzoom.models.network import MEAN

ENCODERS = ["edsr-a", "edsr-b", "rdn-a", "rdn-b", "swinir-a", "swinir-b"]
NETWORKS = [
    "liif-a",
    "liif-b",
    "liif-full",
    "metasr-a",
    "metasr-b",
    "metasr-full",
    "itsrn-a",
    "itsrn-b",
    "itsrn-full",
    "lmi-a",
    "lmi-b",
    "arbsr-a",
    "eqsr-a",
    "eqsr-b",
    "ciaosr-a",
    "ciaosr-b",
    "clit-a",
    "clit-b",
    "ddir-a",
    "ddir-b",
    "srno-a",
    "srno-b",
    "srno-full",
    "lte-a",
    "lte-b",
    "lte-full",
    "linf-a",
    "linf-b",
    "linf-full",
]


def golden(folder: Path, case: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(folder / "parity" / f"{case}.safetensors", "pt") as file:
        return file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping


def state_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix("state."): value for key, value in tensors.items() if key.startswith("state.")}


def in_unit_range(arch: str, out: Tensor, size: Size) -> Tensor:
    """The authors' raw output as a picture `b 3 H W` in [0, 1]."""
    picture = out if out.ndim == 4 else out.transpose(1, 2).reshape(len(out), 3, *size)
    if arch == "ciaosr":
        return picture + torch.tensor(MEAN).view(3, 1, 1)
    return {"arbsr": picture / 255, "eqsr": picture}.get(arch, picture * 0.5 + 0.5)


@pytest.mark.parametrize("case", ENCODERS)
def test_encoders(case: str, shared: Path) -> None:
    facts, tensors = golden(shared, case)
    encoder = load_upstream(case.split("-", maxsplit=1)[0], json.loads(facts["constructor_args"]), state_of(tensors))
    with torch.no_grad():
        features = encoder(tensors["in.lr"])
    expected = tensors["out.feat"][..., : features.shape[-2], : features.shape[-1]]
    torch.testing.assert_close(features, expected, atol=float(facts["tol_atol"]), rtol=float(facts["tol_rtol"]))


@pytest.mark.parametrize("case", NETWORKS)
def test_networks(case: str, shared: Path) -> None:
    """`query` on the authors' own points, and the whole picture by `render`."""
    arch = case.split("-", maxsplit=1)[0]
    facts, tensors = golden(shared, case)
    network = load_upstream(arch, json.loads(facts["constructor_args"]), state_of(tensors))
    assert isinstance(network, ContinuousSR)
    size, lr = Size(*json.loads(facts["out_size"])), tensors["in.lr"]
    expected = in_unit_range(arch, tensors["out.rgb"], size)
    close = partial(torch.testing.assert_close, atol=float(facts["tol_atol"]), rtol=float(facts["tol_rtol"]))
    points = pixel_centres(size, lr).view(1, -1, 2)
    with torch.no_grad():
        colours = network.query(network.encode(lr), points, cell_of(size, lr).unsqueeze(0))
        close(in_unit_range("", colours * 2 - 1, size), expected)
        close(network(lr, size), expected)
