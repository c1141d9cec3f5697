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


def described(network: ContinuousSR) -> tuple[str, dict[str, Any]]:
    """The row of MODELS that builds a network like this one, and the configuration for it."""
    if isinstance(network, Composed):
        encoder = next(name for name, row in ENCODERS.items() if row.build is type(network.encoder))
        decoder = next(name for name, row in DECODERS.items() if row.build is type(network.decoder))
        parts = {"encoder": network.encoder.config, "decoder": network.decoder.config}
        config = {name: part.model_dump(mode="json", exclude_defaults=True) for name, part in parts.items()}
        return f"{decoder}-{encoder}", config | {"trained_to": network.facts.trained_to}
    name = next(name for name, row in MODELS.items() if row.build is type(network))
    return name, network.config.model_dump(mode="json", exclude_defaults=True)
