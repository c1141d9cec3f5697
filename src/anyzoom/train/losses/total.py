"""The weighted sum that a network is trained for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from anyzoom.errors import RecipeError
from anyzoom.train.losses.adversarial import AdversarialKind
from anyzoom.train.losses.distances import charbonnier, frequency, gradient
from anyzoom.train.losses.perceptual import Perceptual, load_perceptual

Weight = Annotated[float, Field(ge=0)]


class Losses(BaseModel):
    """How much each loss counts; 0 leaves it out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    l1: Weight = 1.0
    charbonnier: Weight = 0.0
    frequency: Weight = 0.0
    gradient: Weight = 0.0
    perceptual: Weight = 0.0
    adversarial: Weight = 0.0
    deformation: Weight = 0.0  # of DDIR's second answer; computed beside the network, as is the next
    likelihood: Weight = 0.0  # of LINF
    perceptual_weights: Path | None = None  # a file of VGG19's weights, if it is not named when training begins
    perceptual_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = (
        None  # of that file, if it is to be held
    )
    adversarial_kind: AdversarialKind = "vanilla"

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not (self.compares_colours or self.deformation or self.likelihood):
            raise ValueError("at least one loss should be above 0")
        return self

    @property
    def needs_pictures(self) -> bool:
        """Whether whole pictures `b 3 H W` are needed, not colours at points alone."""
        return any((self.frequency, self.gradient, self.perceptual, self.adversarial))

    @property
    def compares_colours(self) -> bool:
        """Whether the network's colours count at all."""
        return any((self.l1, self.charbonnier, self.needs_pictures))


def perceptual_for(losses: Losses, path: Path | None = None) -> Perceptual | None:
    """VGG19 from `path`, or else from the file that `losses` names; None where that loss does not count.

    Raises RecipeError when no file is named, CheckpointError when it is not the right one.
    """
    if not losses.perceptual:
        return None
    path = path or losses.perceptual_weights
    if path is None:
        raise RecipeError("the perceptual loss needs VGG19's weights. Name a file of them: --perceptual FILE.")
    return load_perceptual(path, losses.perceptual_sha256)


def content_loss(
    losses: Losses, predicted: Tensor, truth: Tensor, perceptual: Perceptual | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of l1 to perceptual, and its parts: by name, before weighting, for the log.

    predicted, truth: colours `b q 3`, or, where `losses.needs_pictures`, pictures `b 3 H W`; in [0, 1], computed in
    float32. perceptual: needed where that loss counts.
    """
    predicted, truth = predicted.float(), truth.float()
    assert predicted.shape == truth.shape
    assert predicted.ndim == 4 or not losses.needs_pictures
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "l1": F.l1_loss,
        "charbonnier": charbonnier,
        "frequency": frequency,
        "gradient": gradient,
    }
    if losses.perceptual:
        assert perceptual is not None
        measures["perceptual"] = perceptual
    total = predicted.new_zeros(())
    parts = {}
    for name, measure in measures.items():
        if weight := getattr(losses, name):
            part = measure(predicted, truth)
            parts[name] = part.detach()
            total = total + weight * part
    return total, parts
