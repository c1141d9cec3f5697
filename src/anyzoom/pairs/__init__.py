"""Low- and high-resolution pictures of the same scene, cut into training crops."""

from anyzoom.pairs.aligned import points_in_frame
from anyzoom.pairs.augment import Augmentation
from anyzoom.pairs.cache import PictureCache
from anyzoom.pairs.crops import Crop, RandomCrops, check_scenes
from anyzoom.pairs.pictures import load_frame, load_pictures
from anyzoom.pairs.plan import CropPlan
from anyzoom.pairs.published import LAYOUTS, Dataset, detect, read_scenes, splits_of
from anyzoom.pairs.scene import Frame, Scene

__all__ = [
    "LAYOUTS",
    "Augmentation",
    "Crop",
    "CropPlan",
    "Dataset",
    "Frame",
    "PictureCache",
    "RandomCrops",
    "Scene",
    "check_scenes",
    "detect",
    "load_frame",
    "load_pictures",
    "points_in_frame",
    "read_scenes",
    "splits_of",
]
