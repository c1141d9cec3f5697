"""Official files: what they are is found out, and the same network comes out."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from anyzoom.checkpoint import load_checkpoint, load_upstream
from anyzoom.checkpoint.foreign import import_foreign, read_foreign
from anyzoom.errors import CheckpointError
from anyzoom.grid import Size
from anyzoom.models import ContinuousSR

NETWORKS = ["metasr", "liif", "lte", "itsrn", "linf", "srno", "lmi", "ddir", "ciaosr", "clit", "arbsr", "eqsr"]
CASES = [f"{name}-{case}" for name in NETWORKS for case in "ab"]


def golden(folder: Path, case: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Constructor arguments and tensors of an official network."""
    with safe_open(folder / "parity" / f"{case}.safetensors", "pt") as file:
        keys = [key for key in file.keys() if key.startswith("state.")]  # noqa: SIM118 - not a mapping
        return json.loads(file.metadata()["constructor_args"]), {
            key.removeprefix("state."): file.get_tensor(key) for key in keys
        }


def same(found: ContinuousSR, expected: ContinuousSR) -> None:
    lr = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(found(lr, Size(17, 25)), expected(lr, Size(17, 25)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("case", "wrapped"),
    [*((case, "bare") for case in CASES), *(("liif-a", kind) for kind in ("params_ema", "state_dict", "module"))],
)
def test_a_state_dict_tells_what_it_is(case: str, wrapped: str, shared: Path, tmp_path: Path) -> None:
    args, state = golden(shared, case)
    arch = "lit" if case == "clit-a" else case.partition("-")[0]
    path, output = tmp_path / "official.pth", tmp_path / "ours.safetensors"
    content: dict[str, Any] = state
    if wrapped == "module":
        content = {f"module.{key}": value for key, value in state.items()}
    elif wrapped == "params_ema":
        content = {"params": {key: value + 1 for key, value in state.items()}, "params_ema": state}
    elif wrapped == "state_dict":
        content = {"meta": {"iter": 5}, "state_dict": {f"generator.{key}": value for key, value in state.items()}}
    torch.save(content, path)
    assert read_foreign(path).arch == arch
    card = import_foreign(path, output)
    expected = load_upstream(arch, args, state)
    assert isinstance(expected, ContinuousSR)
    network, again = load_checkpoint(output)
    assert again == card
    same(network, expected)


def test_a_registered_name_and_its_arguments(shared: Path, tmp_path: Path) -> None:
    args, state = golden(shared, "liif-a")
    path = tmp_path / "official.pth"
    torch.save({"model": {"name": "liif", "args": args, "sd": state}, "optimizer": {"sd": {}}, "epoch": 1000}, path)
    found = read_foreign(path)
    assert (found.arch, found.args) == ("liif", args)
    torch.save({"model": {"name": "edsr-x9", "args": args, "sd": state}}, path)
    with pytest.raises(CheckpointError, match="holds a network called 'edsr-x9'; known: metasr, liif"):
        read_foreign(path)


class Trap:
    """Runs when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("trapped"),))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["pickle", "text", "empty", "missing"])
def test_other_files_are_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "official.pth"
    if kind == "pickle":
        torch.save({"a": Trap()}, path)
        assert pickle.dumps(Trap())
    elif kind != "missing":
        path.write_text("weights" if kind == "text" else "")
    with pytest.raises(CheckpointError, match=r"official\.pth"):
        import_foreign(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "trapped").exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a.weight": torch.zeros(2)}, "The nearest is clit, but pb_encoder.proj.weight is missing and the first key"),
        ({"metanet.layers.0.weight": torch.zeros(4, 33)}, "The nearest is lmi, but imnet.out.weight is missing"),
        ({"epoch": 3}, "epoch is a int, not a tensor"),
        ([1, 2], "holds a list"),
        ({}, "holds no tensors"),
    ],
)
def test_names_the_nearest(content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "official.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=words):
        read_foreign(path)
