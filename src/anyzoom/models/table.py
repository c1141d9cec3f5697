"""The rows of the table of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from anyzoom.models.bicubic import Bicubic, BicubicConfig
from anyzoom.models.decoders.lmi import LmiConfig, LmiDecoder
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.network import Composed, ContinuousSR


class LmiEdsrConfig(BaseModel):
    """EDSR-baseline with LMI: 1,308,275 parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EdsrConfig = Field(default_factory=EdsrConfig)
    decoder: LmiConfig = Field(default_factory=LmiConfig)
    trained_to: float = Field(default=4.0, ge=1)  # largest scale seen in training


def lmi_edsr(config: LmiEdsrConfig) -> ContinuousSR:
    """EDSR's trunk with LMI's decoder."""
    encoder = EdsrEncoder(config.encoder)
    return Composed(encoder, LmiDecoder(encoder.width, config.decoder), config.trained_to)


@dataclass(frozen=True)
class Model:
    """One network that a user can choose by name."""

    build: Callable[[Any], ContinuousSR]
    config: type[BaseModel]  # its default is the paper's network
    paper: str


MODELS: dict[str, Model] = {
    "bicubic": Model(build=Bicubic, config=BicubicConfig, paper="Keys, IEEE TASSP 1981"),
    "lmi-edsr": Model(build=lmi_edsr, config=LmiEdsrConfig, paper="Fu et al., CVPR 2024; Lim et al., CVPRW 2017"),
}
