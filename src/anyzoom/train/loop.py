"""The training loop, on Lightning Fabric: devices, precision and launch are its business, the state is ours.

Loss: mean absolute error of colours (L1, as EDSR, LIIF and LMI). Adam; the rate rises linearly, stays, and
falls linearly to zero over the last part, so that a run can be prolonged from any state before the fall. The
weights that count are an exponential moving average.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Subset

from anyzoom.errors import DeviceError, MissingExtra, RecipeError
from anyzoom.models import MODELS, ContinuousSR
from anyzoom.models.network import channels_last
from anyzoom.pairs import Crop, RandomCrops
from anyzoom.train.recipe import Recipe, network_config
from anyzoom.train.state import State, load_state, save_state

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)


class Objective(nn.Module):
    """forward: a batch of crops -> the mean absolute error of the network's colours."""

    def __init__(self, network: ContinuousSR) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Crop) -> Tensor:
        encoded = self.network.encode(crop.lr.contiguous(memory_format=torch.channels_last))
        return F.l1_loss(self.network.query(encoded, crop.points, crop.cell), crop.colours)


def rate_at(step: int, recipe: Recipe) -> float:
    """The learning rate of step 0, 1, ...: warm-up, plateau, linear fall to zero."""
    rise = (step + 1) / max(recipe.warm_up, 1)
    fall = (recipe.steps - step) / max(recipe.steps * recipe.cool_down, 1)
    return recipe.learning_rate * min(1.0, rise, fall)


def train(
    recipe: Recipe,
    pictures: Sequence[NDArray[np.uint8]],
    run: Path,
    *,
    validate: Callable[[ContinuousSR], dict[str, float]] | None = None,
    device: str = "auto",
    progress: Callable[[int, float], None] | None = None,
) -> ContinuousSR:
    """Train to the recipe's last step, continuing from what the run folder holds; the averaged network.

    The folder receives `recipe.json`, `state.pt` (everything needed to continue) and `log.jsonl` (one line
    per save). Raises RecipeError when the recipe or the pictures cannot be used, or when the folder belongs
    to another network, which is then left as it was; DeviceError when the device is not there.
    """
    config = network_config(recipe)
    crops = RandomCrops(
        pictures,
        recipe.steps * recipe.batch,
        recipe.patch,
        recipe.queries,
        scales=recipe.scales,
        seed=recipe.seed,
    )
    fabric = _fabric(device, recipe)
    torch.manual_seed(recipe.seed)
    objective = Objective(MODELS[recipe.model].build(config))
    if not any(True for _ in objective.parameters()):
        raise RecipeError(f"{recipe.model} has nothing to train. Choose another model.")
    channels_last(objective)
    optimizer = torch.optim.Adam(objective.parameters(), lr=recipe.learning_rate, fused=True)
    trained, optimizer = fabric.setup(objective, optimizer)
    averaged = AveragedModel(objective, avg_fn=lambda average, now, _count: average.lerp(now, 1 - recipe.average))
    smooth = averaged.module
    assert isinstance(smooth, Objective)
    state = State(objective, averaged, optimizer)
    step, seconds = load_state(run / "state.pt", state)
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text(recipe.model_dump_json(indent=2), "utf-8")

    left = Subset(crops, range(step * recipe.batch, len(crops)))
    loader = fabric.setup_dataloaders(DataLoader(left, recipe.batch, drop_last=True))
    losses: list[Tensor] = []
    begun = time.monotonic() - seconds
    for batch in loader:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, recipe)
        loss = trained(batch)
        fabric.backward(loss)
        fabric.clip_gradients(trained, optimizer, max_norm=recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(objective)
        step += 1
        losses.append(loss.detach())
        if progress:
            progress(step, time.monotonic() - begun)
        if step % recipe.save_every == 0 or step == recipe.steps:
            seconds = time.monotonic() - begun
            line = {
                "step": step,
                "seconds": round(seconds, 1),
                "rate": rate_at(step - 1, recipe),
                "loss": torch.stack(losses).mean().item(),
            }
            losses.clear()
            if validate:
                line |= validate(smooth.network.eval())
            save_state(run / "state.pt", state, step, seconds)
            with (run / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            logger.info("%s", line)
    return smooth.network.eval()


def _fabric(device: str, recipe: Recipe) -> Fabric:
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    try:
        return Fabric(accelerator=device, devices=1, precision=recipe.precision)
    except (RuntimeError, ValueError) as error:
        raise DeviceError(f"device {device!r} is not on this machine. Choose auto or cpu.") from error
