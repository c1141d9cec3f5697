"""Training: a recipe, pictures, and a run folder that can be continued."""

from anyzoom.train.loop import train
from anyzoom.train.recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe", "train"]
