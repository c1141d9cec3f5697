"""What a network is asked in training, and how far its answers are from the truth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.errors import RecipeError
from anyzoom.models import ContinuousSR
from anyzoom.models.bicubic import Bicubic
from anyzoom.models.decoders.ddir import DdirDecoder
from anyzoom.models.decoders.linf import LinfDecoder
from anyzoom.models.network import Composed
from anyzoom.pairs import Crop
from anyzoom.train.losses import Losses


class Answer(NamedTuple):
    """What a network says of a batch of crops, in float32."""

    colours: Tensor  # b q 3 in [0, 1], not clamped
    deformation: Tensor  # b q 3: DDIR's difference to a bicubic enlargement; empty where nobody asked
    log_likelihood: Tensor  # b q: of the true colours, LINF's; empty where nobody asked


class Asked(nn.Module):
    """forward: a batch of crops -> the network's answer.

    Raises RecipeError for a loss that the network knows nothing of.
    """

    def __init__(self, network: ContinuousSR, losses: Losses) -> None:
        super().__init__()
        self.network = network
        self.losses = losses
        decoder = network.decoder if isinstance(network, Composed) else None
        if losses.deformation and not (isinstance(decoder, DdirDecoder) and decoder.deformation is not None):
            raise RecipeError("losses.deformation is for DDIR with its deformation branch. Set it to 0.")
        if losses.likelihood and not isinstance(decoder, LinfDecoder):
            raise RecipeError("losses.likelihood is for LINF. Set it to 0.")

    def forward(self, crop: Crop) -> Answer:
        encoded = self.network.encode(crop.lr.contiguous(memory_format=torch.channels_last))
        decoder = self.network.decoder if isinstance(self.network, Composed) else None
        deformation = likelihood = crop.colours.new_empty(0)
        if self.losses.likelihood and isinstance(decoder, LinfDecoder):
            likelihood = decoder.log_probability(encoded, crop.points, crop.cell, crop.colours)
        if self.losses.deformation and isinstance(decoder, DdirDecoder):
            colours, deformation = decoder.query_both(encoded, crop.points, crop.cell)
        elif self.losses.compares_colours:
            colours = self.network.query(encoded, crop.points, crop.cell)
        else:
            colours = crop.colours
        return Answer(colours.float(), deformation.float(), likelihood.float())


def special_losses(losses: Losses, answer: Answer, crop: Crop) -> dict[str, Tensor]:
    """Those of single networks, not yet weighted.

    deformation: mean absolute error of DDIR's second answer, the difference to a bicubic enlargement of LR.
    likelihood: LINF's mean negative log-likelihood of a point's true colour.
    """
    found = {}
    if losses.deformation:
        plain = Bicubic()
        enlarged = plain.query(plain.encode(crop.lr.float()), crop.points, crop.cell)
        found["deformation"] = F.l1_loss(answer.deformation, crop.colours - enlarged)
    if losses.likelihood:
        found["likelihood"] = -answer.log_likelihood.mean()
    return found


def as_picture(colours: Tensor, window: int) -> Tensor:
    """`b (H W) 3`, a window row by row -> `b 3 H W`."""
    picture: Tensor = rearrange(colours, "b (H W) rgb -> b rgb H W", H=window)
    return picture
