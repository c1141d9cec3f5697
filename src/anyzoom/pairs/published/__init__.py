"""The field's published datasets, and any folder of high-resolution pictures, read as scenes."""

from anyzoom.pairs.published.layout import Layout
from anyzoom.pairs.published.reading import LAYOUTS, Dataset, detect, read_scenes, splits_of

__all__ = ["LAYOUTS", "Dataset", "Layout", "detect", "read_scenes", "splits_of"]
