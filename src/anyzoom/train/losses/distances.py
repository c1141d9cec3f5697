"""Distances between a prediction and the truth that need nothing learnt.

Charbonnier (Lai et al., LapSRN, CVPR 2017), frequency (the frequency reconstruction loss of Cho et al., MIMO-UNet,
ICCV 2021, at one scale) and gradient (after the gradient difference loss of Mathieu et al., ICLR 2016; see below). The
plain mean absolute error is PyTorch's `l1_loss`. Each is a mean over the batch, the colours and the pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def charbonnier(predicted: Tensor, truth: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt(d^2 + epsilon^2), d = predicted - truth: L1 with a round bottom. Both of one shape, in [0, 1]."""
    return ((predicted - truth).square() + epsilon**2).sqrt().mean()


def frequency(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean of |Re| and |Im| of the difference of the spectra. Pictures `b 3 H W` in [0, 1].

    The two-dimensional transform is orthonormal: white noise weighs the same whatever the size. It is linear, so
    one transform of the difference does.
    """
    spectrum = torch.fft.fft2(predicted - truth, norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()


def gradient(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean of |difference of the forward differences| down plus across. Pictures `b 3 H W` in [0, 1], 2 or more a side.

    Mathieu et al. compare the gradients' magnitudes; here their signs count too, so an edge that rises is not
    mistaken for one that falls.
    """
    error = predicted - truth
    return error.diff(dim=-2).abs().mean() + error.diff(dim=-1).abs().mean()
