"""Adversarial losses, both sides, from the logits of a discriminator.

D = sigmoid(logit) is the chance that a picture is true; E is the mean over pictures and pixels.
vanilla        Goodfellow et al., NIPS 2014, the generator's side in its non-saturating form (section 3)
least-squares  Mao et al., ICCV 2017, equation 2 with a = 0, b = c = 1
hinge          Lim and Ye, 2017; Miyato et al., ICLR 2018, equations 16 and 17
relativistic   Wang et al., ESRGAN, ECCVW 2018, equations 1 and 2 (relativistic average, Jolicoeur-Martineau, ICLR 2019)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

AdversarialKind = Literal["vanilla", "least-squares", "hinge", "relativistic"]


def discriminator_loss(kind: AdversarialKind, fake: Tensor, real: Tensor) -> Tensor:
    """What the discriminator minimises: logits of any shape for predicted (`fake`) and for true pictures (`real`)."""
    fake, real = fake.float(), real.float()
    match kind:
        case "vanilla":
            return -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()
        case "least-squares":
            return ((real - 1).square().mean() + fake.square().mean()) / 2
        case "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        case "relativistic":
            return discriminator_loss("vanilla", fake - real.mean(), real - fake.mean())


def generator_loss(kind: AdversarialKind, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """What the generator minimises; `real`, the logits for true pictures, is needed by "relativistic" alone."""
    fake = fake.float()
    match kind:
        case "vanilla":
            return -F.logsigmoid(fake).mean()
        case "least-squares":
            return (fake - 1).square().mean() / 2
        case "hinge":
            return -fake.mean()
        case "relativistic":
            assert real is not None
            return discriminator_loss("relativistic", fake=real, real=fake)  # the parts are exchanged
