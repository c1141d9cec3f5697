"""Training: a recipe, scenes, and a run folder that can be continued."""

from anyzoom.train.loop import Progress, Watch, train
from anyzoom.train.processes import Machine
from anyzoom.train.recipe import Recipe, load_recipe
from anyzoom.train.run import Run
from anyzoom.train.samples import write_samples

__all__ = ["Machine", "Progress", "Recipe", "Run", "Watch", "load_recipe", "train", "write_samples"]
