"""The state of a run on disk: whole or refused."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from anyzoom.errors import CannotWrite, RecipeError
from anyzoom.train.state import FORMAT, KEYS, read_state, save_state


def a_state(width: int = 4, seed: int = 1) -> dict[str, Any]:
    """What a run saves, of a small layer."""
    torch.manual_seed(seed)
    parts = dict.fromkeys(KEYS, 0.5) | {"network": {"weight": torch.rand(width, 3)}, "adversary": None}
    return parts | {"format": FORMAT, "step": 3, "sums": {"loss": 0.1}}


def test_save_then_read(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_state(path, a_state())
    found, expected = read_state(path), a_state()
    assert torch.equal(found.pop("network")["weight"], expected.pop("network")["weight"])
    assert found == expected
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]  # nothing half-written stays


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "there is no room left"), (errno.EACCES, "Permission denied")]
)
def test_a_failed_save_keeps_the_last_state(
    number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_state(path, a_state())
    before = path.read_bytes()

    def fail(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(b"half a st")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(CannotWrite, match=rf"cannot write .*last\.pt: {said}\. The last checkpoint is kept"):
        save_state(path, a_state(seed=2))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("kept", [0, 1, 2, 100, 0.5, 0.9, 0.999, -1])
def test_a_truncated_file_is_refused_in_one_line(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, a_state())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(RecipeError) as caught:
        read_state(path)
    assert str(caught.value) == f"{path} is damaged, or not the state of a training run. Remove it to begin anew."


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_file_with_flipped_bits_is_refused(share: float, tmp_path: Path) -> None:
    """Else it would go on with weights that look possible and are wrong."""
    path = tmp_path / "state.pt"
    save_state(path, a_state(width=1000))
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="is damaged, or not the state of a training run"):
        read_state(path)


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


@pytest.mark.parametrize(
    "content", [{"step": 3}, a_state() | {"format": 1}, [1, 2], torch.zeros(3)], ids=["part", "old", "list", "tensor"]
)
def test_something_else_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(content, path)
    with pytest.raises(RecipeError, match="is not the state of a training run"):
        read_state(path)


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "state.pt", tmp_path):
        with pytest.raises(RecipeError, match="does not exist: no step of a training run has been saved"):
            read_state(path)
