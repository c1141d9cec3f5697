"""EQSR, a whole network: a backbone that is told the scale and an upsampler on the output grid."""

from __future__ import annotations

from anyzoom.models.eqsr.network import Eqsr, EqsrConfig

__all__ = ["Eqsr", "EqsrConfig"]
