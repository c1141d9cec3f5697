"""Low- and high-resolution pictures of the same scene, cut into training crops."""

from anyzoom.pairs.crops import Crop, RandomCrops
from anyzoom.pairs.pictures import load_pictures

__all__ = ["Crop", "RandomCrops", "load_pictures"]
