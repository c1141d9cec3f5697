"""The rows of the table of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from anyzoom.models.bicubic import Bicubic, BicubicConfig
from anyzoom.models.decoders.liif import LiifConfig, LiifDecoder
from anyzoom.models.decoders.lmi import LmiConfig, LmiDecoder
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.network import Composed, ContinuousSR, Decoder, Encoder


@dataclass(frozen=True)
class EncoderRow:
    """An encoder that a network can be composed of."""

    build: Callable[[Any], Encoder]
    config: type[BaseModel]
    paper: str


@dataclass(frozen=True)
class DecoderRow:
    """A decoder that a network can be composed of."""

    build: Callable[[int, Any], Decoder]  # of the width of the features and the configuration
    config: type[BaseModel]
    paper: str


@dataclass(frozen=True)
class Model:
    """One network that a user can choose by name."""

    build: Callable[[Any], ContinuousSR]
    config: type[BaseModel]  # its default is the paper's network
    paper: str


ENCODERS: dict[str, EncoderRow] = {
    "edsr": EncoderRow(EdsrEncoder, EdsrConfig, "Lim et al., CVPRW 2017"),
}

DECODERS: dict[str, DecoderRow] = {
    "lmi": DecoderRow(LmiDecoder, LmiConfig, "Fu et al., CVPR 2024"),
    "liif": DecoderRow(LiifDecoder, LiifConfig, "Chen et al., CVPR 2021"),
}


def composition(encoder: EncoderRow, decoder: DecoderRow) -> Model:
    """Any encoder with any decoder."""
    config = create_model(
        "ComposedConfig",
        __config__=ConfigDict(frozen=True, extra="forbid"),
        encoder=(encoder.config, Field(default_factory=encoder.config)),
        decoder=(decoder.config, Field(default_factory=decoder.config)),
        trained_to=(float, Field(default=4.0, ge=1)),  # largest scale seen in training
    )

    def build(config: Any) -> ContinuousSR:
        trunk = encoder.build(config.encoder)
        return Composed(trunk, decoder.build(trunk.width, config.decoder), config.trained_to)

    return Model(build, config, f"{decoder.paper}; {encoder.paper}")


MODELS: dict[str, Model] = {
    "bicubic": Model(build=Bicubic, config=BicubicConfig, paper="Keys, IEEE TASSP 1981"),
    **{
        f"{decoder}-{encoder}": composition(ENCODERS[encoder], DECODERS[decoder])
        for decoder in DECODERS
        for encoder in ENCODERS
    },
}
