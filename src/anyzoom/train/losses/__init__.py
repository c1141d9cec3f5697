"""What a network is trained for: distances to the truth, and a discriminator's opinion."""

from anyzoom.train.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from anyzoom.train.losses.perceptual import Perceptual, load_perceptual
from anyzoom.train.losses.total import Losses, content_loss, perceptual_for

__all__ = [
    "AdversarialKind",
    "Losses",
    "Perceptual",
    "content_loss",
    "discriminator_loss",
    "generator_loss",
    "load_perceptual",
    "perceptual_for",
]
