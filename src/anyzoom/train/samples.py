"""Pictures to look at while a network learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anyzoom.grid import Size, size_for
from anyzoom.image import Photo, write_image
from anyzoom.models import ContinuousSR
from anyzoom.models.bicubic import Bicubic

SIDE = 96  # LR pixels shown, or less where a picture is smaller


@torch.inference_mode()
def write_samples(
    network: ContinuousSR, pictures: Sequence[tuple[str, NDArray[np.uint8]]], scales: Sequence[float], folder: Path
) -> None:
    """The middle of every picture (name, `h w 3`) at every factor: bicubic on the left, the network on the right."""
    folder.mkdir(parents=True, exist_ok=True)
    device = next(network.parameters()).device
    for name, picture in pictures:
        top, left = ((side - min(side, SIDE)) // 2 for side in picture.shape[:2])
        middle = torch.from_numpy(picture[top : top + SIDE, left : left + SIDE]).permute(2, 0, 1)[None] / 255
        for scale in scales:
            size = size_for(Size(*middle.shape[-2:]), scale)
            shown = [Bicubic()(middle, size), network(middle.to(device), size).cpu()]
            row = torch.cat(shown, dim=-1)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().to(torch.uint8)
            write_image(Photo(row.numpy()), folder / f"{name}_x{scale:g}.png", overwrite=True)
