"""The state of a run on disk: whole or refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from anyzoom.errors import RecipeError
from anyzoom.train.state import State, load_state, read_state, save_state


def a_state(width: int = 4, seed: int = 1) -> State:
    """A linear layer after three steps of Adam."""
    torch.manual_seed(seed)
    objective = nn.Linear(3, width)
    averaged = AveragedModel(objective)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.1)
    for _ in range(3):
        objective(torch.rand(5, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(objective)
    return State(objective, averaged, optimizer)


def assert_same(one: State, other: State) -> None:
    torch.testing.assert_close(one.objective.state_dict(), other.objective.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(one.averaged.state_dict(), other.averaged.state_dict(), rtol=0, atol=0)
    found, expected = one.optimizer.state_dict(), other.optimizer.state_dict()
    assert found["param_groups"] == expected["param_groups"]
    torch.testing.assert_close(found["state"], expected["state"], rtol=0, atol=0)


def test_save_then_load(tmp_path: Path) -> None:
    saved, path = a_state(), tmp_path / "state.pt"
    save_state(path, saved, 3, 12.5)
    other = a_state(seed=2)
    assert load_state(path, other) == (3, 12.5)
    assert_same(other, saved)
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]  # nothing half-written stays


def test_without_a_file_a_run_begins(tmp_path: Path) -> None:
    state, same = a_state(), a_state()
    assert load_state(tmp_path / "state.pt", state) == (0, 0.0)
    assert_same(state, same)


def test_a_failed_save_keeps_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.pt"
    save_state(path, a_state(), 3, 1.0)
    before = path.read_bytes()

    def full(_: object, to: Path) -> None:
        to.write_bytes(b"half a st")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_state(path, a_state(), 6, 2.0)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 1, 2, 100, 0.5, 0.9, 0.999, -1])
def test_a_truncated_file_is_refused_in_one_line(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, a_state(), 3, 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    state, same = a_state(seed=2), a_state(seed=2)
    with pytest.raises(RecipeError) as caught:
        load_state(path, state)
    assert str(caught.value) == f"{path} is damaged, or not the state of a training run. Remove it to begin anew."
    assert_same(state, same)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_file_with_flipped_bits_is_refused(share: float, tmp_path: Path) -> None:
    """Else it would go on with weights that look possible and are wrong."""
    path = tmp_path / "state.pt"
    save_state(path, a_state(width=1000), 3, 1.0)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="is damaged, or not the state of a training run"):
        load_state(path, a_state(width=1000))


def test_a_file_that_would_run_code_is_refused_without_running_it(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"step": Trap()}))
    torch.save({"step": Trap()}, tmp_path / "zipped.pt")
    for name in ("plain.pt", "zipped.pt"):
        with pytest.raises(RecipeError, match="is damaged, or not the state of a training run"):
            read_state(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [{"step": 3}, [1, 2], torch.zeros(3)], ids=["part", "list", "tensor"])
def test_something_else_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(content, path)
    with pytest.raises(RecipeError, match="is not the state of a training run"):
        load_state(path, a_state())


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, a_state(), 3, 1.0)
    with pytest.raises(RecipeError, match=r"state\.pt belongs to another network\. Choose another run folder\."):
        load_state(path, a_state(width=5))


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "state.pt", tmp_path):
        with pytest.raises(RecipeError, match="does not exist: no step of a training run has been saved"):
            read_state(path)
