"""The perceptual loss against a plain VGG19, and the files it is read from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from anyzoom.errors import CheckpointError, ShapeError
from anyzoom.train.losses import Perceptual, load_perceptual

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def perceptual(vgg19: Weights) -> Perceptual:
    return Perceptual(vgg19)


@pytest.fixture(scope="module")
def file(vgg19: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(vgg19, path)
    return path


def pictures(seed: int, height: int = 16, width: int = 19) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def plainly(weights: Weights, predicted: Tensor, truth: Tensor) -> float:
    """Written out, with the published names of the layers."""
    names = [f"{block}_{n}" for block, last in enumerate((2, 2, 4, 4, 4), 1) for n in range(1, last + 1)]
    shares = {"1_2": 0.1, "2_2": 0.1, "3_4": 1.0, "4_4": 1.0, "5_4": 1.0}
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    place, distance = 0, 0.0
    one, other = (predicted - mean) / deviation, (truth - mean) / deviation
    for name in names:
        if place and name.endswith("_1"):
            one, other, place = F.max_pool2d(one, 2), F.max_pool2d(other, 2), place + 1
        kernel, bias = (weights[f"features.{place}.{part}"].float() for part in ("weight", "bias"))
        one, other = (F.conv2d(features, kernel, bias, padding=1) for features in (one, other))
        distance += shares.get(name, 0.0) * (one - other).abs().mean().item()
        one, other, place = one.relu(), other.relu(), place + 2
    return distance


def test_equals_the_plain_network(perceptual: Perceptual, vgg19: Weights) -> None:
    predicted, truth = pictures(1), pictures(2)
    assert perceptual(predicted, truth).item() == pytest.approx(plainly(vgg19, predicted, truth), rel=1e-5)
    assert perceptual(truth, truth).item() == 0


def test_only_the_prediction_learns(perceptual: Perceptual) -> None:
    predicted, truth = pictures(1).requires_grad_(), pictures(2).requires_grad_()
    perceptual(predicted, truth).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().sum() > 0
    assert truth.grad is None
    assert not perceptual.training
    assert not any(parameter.requires_grad for parameter in perceptual.parameters())


def test_too_small_a_picture_is_refused(perceptual: Perceptual) -> None:
    with pytest.raises(ShapeError, match=r"16x16 pixels or more, not 40x15\. Choose larger windows"):
        perceptual(pictures(1, 15, 40), pictures(2, 15, 40))


def test_nothing_is_drawn_for_it(vgg19: Weights) -> None:
    """A recipe with this loss begins with the same network as one without."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Perceptual(vgg19)
    assert torch.equal(torch.get_rng_state(), before)


def test_both_kinds_of_file_are_read(perceptual: Perceptual, vgg19: Weights, file: Path, tmp_path: Path) -> None:
    save_file(vgg19, tmp_path / "vgg19.safetensors")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for loaded in (load_perceptual(file, digest), load_perceptual(tmp_path / "vgg19.safetensors")):
        state = loaded.state_dict()
        assert state.keys() == perceptual.state_dict().keys()
        for key, value in perceptual.state_dict().items():
            assert state[key].dtype == torch.float32
            assert torch.equal(state[key], value)


@pytest.mark.parametrize("name", ["missing.pth", "missing.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    for digest in (None, "0" * 64):
        with pytest.raises(CheckpointError, match=rf"{name} does not exist\. The perceptual loss needs a file"):
            load_perceptual(tmp_path / name, digest)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read"):
        load_perceptual(tmp_path)


def test_another_file_is_refused(file: Path) -> None:
    with pytest.raises(CheckpointError, match=f"has the SHA-256 [0-9a-f]{{64}}, not {'0' * 64}. Fetch"):
        load_perceptual(file, "0" * 64)


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no network at all")
    with pytest.raises(CheckpointError, match=rf"{name} is damaged, or does not hold tensors alone"):
        load_perceptual(tmp_path / name)


class Trap:
    """What a hostile file would hold."""


def test_a_file_with_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(CheckpointError, match="does not hold tensors alone"):
        load_perceptual(tmp_path / "trap.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list, not the weights of VGG19"),
        ({}, r"features\.0\.weight is missing"),
        (
            {"features.0.weight": torch.zeros(64, 3, 7, 7)},
            r"features\.0\.weight is \(64, 3, 7, 7\), not \(64, 3, 3, 3\)",
        ),
        ({"features.0.weight": "text"}, r"features\.0\.weight is missing"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"other\.pth.*{message}") as caught:
        load_perceptual(tmp_path / "other.pth")
    assert "\n" not in str(caught.value)
