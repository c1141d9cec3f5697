"""How an LR photograph comes to be: ways from HR to LR, each a configuration that can shrink."""

from anyzoom.degrade.bicubic import Bicubic
from anyzoom.degrade.bsrgan import Bsrgan
from anyzoom.degrade.camera import Camera
from anyzoom.degrade.degradation import Degradation, Degraded
from anyzoom.degrade.realesrgan import RealEsrgan

DEGRADATIONS: dict[str, type[Degradation]] = {
    "bicubic": Bicubic,
    "camera": Camera,
    "bsrgan": Bsrgan,
    "realesrgan": RealEsrgan,
}

__all__ = ["DEGRADATIONS", "Degradation", "Degraded"]
