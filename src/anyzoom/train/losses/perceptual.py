"""Perceptual distance: mean absolute difference of VGG19's features.

Johnson et al., ECCV 2016 (feature reconstruction, equation 2), with L1, features before the activation and the
layers' weights of ESRGAN and Real-ESRGAN (Wang et al., ECCVW 2018, section 3.3; ICCVW 2021, section 4.1). The
network is VGG19 (Simonyan and Zisserman, ICLR 2015, table 1, column E). Its ImageNet weights are not ours to ship:
the user names a file of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.errors import CheckpointError, ShapeError
from anyzoom.grid import Size

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # width and convolutions; a pooling ends each
LAYERS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}  # conv1_2, conv2_2, conv3_4, conv4_4, conv5_4, by their index
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB, with which VGG19 was trained
SMALLEST = 16  # pixels; four poolings come before conv5_4


class Perceptual(nn.Module):
    """A frozen VGG19 up to conv5_4; nothing of it is trained, so keep it out of what is saved.

    weights: tensors under the names `features.N.weight` and `features.N.bias`; others are ignored
    forward: predicted and truth, both `b 3 H W` in [0, 1] -> their distance; gradients reach `predicted` alone

    Raises CheckpointError when a tensor is missing or of another shape, ShapeError for a side below 16 pixels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        with torch.device("meta"):  # no random numbers drawn for weights that are replaced
            self.features = _vgg19()
        wanted = self.state_dict()
        for key, value in wanted.items():
            given = weights.get(key)
            if not isinstance(given, Tensor):
                raise CheckpointError(f"these are not the weights of VGG19: {key} is missing.")
            if given.shape != value.shape:
                raise CheckpointError(
                    f"these are not the weights of VGG19: {key} is {tuple(given.shape)}, not {tuple(value.shape)}."
                )
        self.load_state_dict({key: weights[key].float().contiguous() for key in wanted}, assign=True)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, predicted: Tensor, truth: Tensor) -> Tensor:
        size = Size(*predicted.shape[-2:])
        if min(size) < SMALLEST:
            raise ShapeError(
                f"the perceptual loss compares pictures of {SMALLEST}x{SMALLEST} pixels or more, not {size}. "
                f"Choose larger windows."
            )
        with torch.no_grad():
            wanted = self.described(truth)
        found = self.described(predicted)
        distance = predicted.new_zeros(())
        for layer, weight in LAYERS.items():
            distance = distance + weight * F.l1_loss(found[layer].float(), wanted[layer].float())
        return distance

    def described(self, pictures: Tensor) -> dict[int, Tensor]:
        """Features `b f H/k W/k` of the weighted layers of pictures `b 3 H W` in [0, 1]."""
        described = {}
        features = (pictures - self.mean) / self.deviation
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in LAYERS:
                described[index] = features
        return described


def _vgg19() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for width, convolutions in BLOCKS:
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]  # not in place: what was before is kept
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[: max(LAYERS) + 1])


def load_perceptual(path: Path, sha256: str | None = None) -> Perceptual:
    """Read VGG19's weights from a .safetensors file, or from a .pth file that holds tensors alone.

    sha256: 64 hexadecimal digits that the file must have; not looked at when None. Raises CheckpointError when the
    file is missing, another one, damaged, or not VGG19's.
    """
    try:
        if sha256 is not None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise CheckpointError(
                    f"{path} has the SHA-256 {found}, not {sha256}. Fetch the file again, or correct the recipe."
                )
        weights = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} does not exist. The perceptual loss needs a file of VGG19's weights, .pth or .safetensors."
        ) from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}.") from error
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged, or does not hold tensors alone. Fetch VGG19's weights again."
        ) from error
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{path} holds a {type(weights).__name__}, not the weights of VGG19.")
    try:
        return Perceptual(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
