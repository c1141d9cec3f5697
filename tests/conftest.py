"""What the tests of several rooms share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import settings

from anyzoom.cli import main
from anyzoom.image import Photo
from anyzoom.models import MODELS, ContinuousSR

MakePhoto: TypeAlias = Callable[..., Photo]

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")
torch.set_num_threads(1)  # tiny pictures: more threads only wait for each other


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not (folder / "parity").is_dir():
        pytest.skip(f"the reference data are not here ({folder})")
    return folder


TINY: dict[str, Any] = {"encoder": {"width": 8, "depth": 1}}


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, Any]:
    """The `config` of a small lmi-edsr."""
    return TINY


@pytest.fixture(scope="session")
def tiny() -> ContinuousSR:
    """A small lmi-edsr whose random weights are large enough for every part of its halo to show."""
    torch.manual_seed(5)
    row = MODELS["lmi-edsr"]
    network = row.build(row.config.model_validate(TINY))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    return network.eval()


@pytest.fixture(scope="session")
def bicubic() -> ContinuousSR:
    return MODELS["bicubic"].build(MODELS["bicubic"].config()).eval()


def a_photo(height: int = 9, width: int = 12, channels: int = 3, dtype: str = "uint8", **fields: Any) -> Photo:
    """Smooth waves under a little noise, different in every channel; alpha varies too."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(height * 1000 + width * 10 + channels)
    waves = [0.5 + 0.4 * np.sin(x / (3 + k) + k) * np.cos(y / (4 + k)) for k in range(channels)]
    picture = np.clip(np.stack(waves, axis=-1) + rng.normal(0, 0.05, (height, width, channels)), 0, 1)
    if dtype == "float32":
        return Photo(picture.astype(np.float32), **fields)
    return Photo(np.rint(picture * np.iinfo(dtype).max).astype(dtype), **fields)


@pytest.fixture(scope="session")
def make_photo() -> MakePhoto:
    return a_photo


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The only line of a refusal: exit code 1, nothing on stdout, no traceback."""
        assert self.code == 1, self
        assert self.out == ""
        assert self.err.startswith("anyzoom: ")
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        return self.err.removeprefix("anyzoom: ").rstrip("\n")


Command: TypeAlias = Callable[..., Done]


@pytest.fixture
def anyzoom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command itself, in this process: everything but its start is as on a terminal."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["anyzoom", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)
