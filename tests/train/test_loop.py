"""Training: it learns, it goes on as if it had never stopped, and it refuses what it cannot do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anyzoom.checkpoint import Card, load_checkpoint, save_checkpoint
from anyzoom.errors import DeviceError, RecipeError
from anyzoom.grid import Size
from anyzoom.image import Photo, read_image, write_image
from anyzoom.models import ContinuousSR
from anyzoom.pairs import Scene, load_frame, read_scenes
from anyzoom.train import Machine, Progress, Recipe, Run, Watch, train, write_samples
from anyzoom.train.state import read_state

TinyRecipe = Callable[..., Recipe]
CPU = Machine(device="cpu")


class Killed(Exception):
    """Stands for the end of a process."""


def killed_at(step: int) -> Watch:
    def kill(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    return Watch(progress=kill)


def brightness(network: ContinuousSR) -> dict[str, float]:
    """A figure that depends on the averaged weights."""
    with torch.inference_mode():
        return {"brightness": float(network(torch.full((1, 3, 4, 4), 0.5), Size(6, 6)).mean())}


MEASURED = Watch(validate=brightness)


def equal(one: object, other: object) -> bool:
    """Bit for bit, all the way down."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def same_training(one: Path, other: Path) -> bool:
    """The last states, all but the seconds that it took, and every byte of the metrics."""
    first, second = read_state(one / "last.pt"), read_state(other / "last.pt")
    metrics = [(run / "metrics.jsonl").read_bytes() for run in (one, other)]
    return equal(first | {"seconds": 0}, second | {"seconds": 0}) and metrics[0] == metrics[1]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_one_picture_can_be_learnt_by_heart(
    precision: str, tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    """The error falls to less than a quarter of what it was in the first ten steps."""
    crops = {"scales": {"kind": "choice", "of": [2]}}
    recipe = tiny_recipe(
        steps=160, batch=4, crops=crops, schedule={"warm_up": 10}, log_every=10, save_every=80, precision=precision
    )
    network = train(recipe, disc, tmp_path, machine=CPU)
    losses = [line["loss"] for line in Run(tmp_path).metrics()]
    assert len(losses) == 16
    assert losses[-1] < losses[0] / 4
    assert not network.training
    assert network(torch.rand(1, 3, 5, 4), Size(12, 11)).isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bf16-mixed"},
        {"schedule": {"kind": "cosine", "warm_up": 2}, "accumulate": 2},
        {"log_every": 4, "save_every": 3, "validate_every": 2},
        {"plateau": {"patience": 1, "threshold": 9.0}, "augmentations": [{}, {"contrast_chance": 1.0}]},
        {
            "losses": {"adversarial": 0.1, "frequency": 0.1},
            "crops": {"window": 8},
            "adversary": {"width": 4},
            "validate_every": 4,
        },
        {
            "model": "lmi-swinir",
            "config": {"encoder": {"width": 8, "inner": 6, "depths": [2], "heads": 2, "window": 4}},
        },
    ],
    ids=["plain", "bfloat16", "accumulated", "uneven", "plateau", "adversarial", "stochastic depth"],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    changes: dict[str, Any], tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    if "model" in changes:  # another encoder's configuration would be joined with that of the first
        recipe = tiny_recipe().model_copy(update={key: changes[key] for key in ("model", "config")})
    else:
        recipe = tiny_recipe(**changes)
    train(recipe, disc, tmp_path / "whole", machine=CPU, watch=MEASURED)
    for step in (2, 5, 7):  # before the first save, between two, after the last
        with pytest.raises(Killed):
            train(
                recipe,
                disc,
                tmp_path / "killed",
                machine=CPU,
                watch=Watch(validate=brightness, progress=killed_at(step).progress),
            )
        torch.rand(5)  # whatever the process did in between
    assert read_state(tmp_path / "killed" / "last.pt")["step"] == 6
    assert not same_training(tmp_path / "whole", tmp_path / "killed")
    train(recipe, disc, tmp_path / "killed", machine=CPU, watch=MEASURED)
    assert same_training(tmp_path / "whole", tmp_path / "killed")
    starts = [json.loads(line)["step"] for line in (tmp_path / "killed" / "starts.jsonl").read_text().splitlines()]
    assert starts == [0, 0, 3, 6]


def test_workers_change_nothing(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    train(tiny_recipe(accumulate=2), disc, tmp_path / "alone", machine=CPU)
    train(tiny_recipe(accumulate=2), disc, tmp_path / "helped", machine=Machine(device="cpu", workers=2, cache=0))
    assert same_training(tmp_path / "alone", tmp_path / "helped")


def test_the_same_seed_gives_the_same_numbers(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    train(tiny_recipe(), disc, tmp_path / "one", machine=CPU)
    torch.manual_seed(1234)
    train(tiny_recipe(), disc, tmp_path / "again", machine=CPU)
    train(tiny_recipe(seed=1), disc, tmp_path / "other", machine=CPU)
    assert same_training(tmp_path / "one", tmp_path / "again")
    assert not same_training(tmp_path / "one", tmp_path / "other")


def test_a_batch_in_parts_is_the_same_batch(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    whole = train(tiny_recipe(batch=4), disc, tmp_path / "whole", machine=CPU)
    parts = train(tiny_recipe(batch=4, accumulate=2), disc, tmp_path / "parts", machine=CPU)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    losses = [[line["loss"] for line in Run(tmp_path / name).metrics()] for name in ("whole", "parts")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_gradients_are_clipped(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    """Adam forgives a constant factor, so what is left is that every step's gradients come to the same norm."""
    train(tiny_recipe(clip=1e-3), disc, tmp_path / "clipped", machine=CPU)
    train(tiny_recipe(clip=0), disc, tmp_path / "free", machine=CPU)
    train(tiny_recipe(clip=1e9), disc, tmp_path / "loose", machine=CPU)
    states = [read_state(tmp_path / name / "last.pt")["network"] for name in ("clipped", "free", "loose")]
    assert not equal(states[0], states[1])
    assert equal(states[1], states[2])


def test_the_averaged_weights_are_returned(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    """After n steps of decay d they are d a + (1 - d) w, from weights noted after every step."""
    recipe = tiny_recipe(average=0.75, steps=4, keep_every=1)
    network = train(recipe, disc, tmp_path, machine=CPU)
    states = [read_state(tmp_path / f"step_{step:06d}.pt")["network"] for step in range(1, 5)]
    for name, value in network.state_dict().items():
        average = states[0][name]  # the first average is the weights after the first step
        for state in states[1:]:
            average = 0.75 * average + 0.25 * state[name]
        torch.testing.assert_close(value, average)
    assert not equal(network.state_dict(), states[-1])


def test_a_run_can_be_prolonged_before_its_rate_falls(
    tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    schedule = {"kind": "constant"}
    plain = tiny_recipe().model_dump(mode="json") | {"schedule": schedule, "log_every": 4}
    train(Recipe.model_validate(plain | {"steps": 8}), disc, tmp_path / "whole", machine=CPU)
    train(Recipe.model_validate(plain | {"steps": 4}), disc, tmp_path / "prolonged", machine=CPU)
    train(Recipe.model_validate(plain | {"steps": 8}), disc, tmp_path / "prolonged", machine=CPU)
    assert same_training(tmp_path / "whole", tmp_path / "prolonged")
    assert Run(tmp_path / "prolonged").plan.recipe.steps == 8


def test_a_prolonged_run_whose_rate_has_fallen_is_refused(
    tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    train(tiny_recipe(steps=6), disc, tmp_path, machine=CPU)
    with pytest.raises(RecipeError, match=r"steps: 6 -> 60, which changes the rate of steps that are done"):
        train(tiny_recipe(steps=60), disc, tmp_path, machine=CPU)


def test_a_finished_run_only_returns_its_network(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    first = train(tiny_recipe(), disc, tmp_path, machine=CPU)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = train(tiny_recipe(), disc, tmp_path, machine=CPU)
    assert equal(first.state_dict(), again.state_dict())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_changed_recipe_is_refused_with_the_difference(
    tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    train(tiny_recipe(steps=3), disc, tmp_path, machine=CPU)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed = tiny_recipe(steps=3, batch=4, optimiser={"rate": 0.02})
    with pytest.raises(RecipeError) as refusal:
        train(changed, disc, tmp_path, machine=CPU)
    assert "belongs to another recipe (optimiser.rate: 0.01 -> 0.02; batch: 2 -> 4)" in str(refusal.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    train(tiny_recipe(steps=3, log_every=1, save_every=2), disc, tmp_path, machine=CPU)  # these are free


def test_other_data_are_refused_and_a_moved_folder_is_not(
    tiny_recipe: TinyRecipe, pictures: Path, disc: list[Scene], tmp_path: Path
) -> None:
    train(tiny_recipe(), disc, tmp_path / "run", machine=CPU)
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "disc.png").write_bytes((pictures / "disc.png").read_bytes())
    train(tiny_recipe(), read_scenes(tmp_path / "moved", "hr").scenes, tmp_path / "run", machine=CPU)
    write_image(Photo(np.zeros((30, 30, 3), np.uint8)), tmp_path / "moved" / "more.png")
    with pytest.raises(RecipeError, match="other data"):
        train(tiny_recipe(), read_scenes(tmp_path / "moved", "hr").scenes, tmp_path / "run", machine=CPU)


def test_a_foreign_folder_is_left_alone(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(RecipeError, match=r"is not empty and not a run folder\. Choose another\."):
        train(tiny_recipe(), disc, tmp_path, machine=CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"run\.json is damaged, or was written by another version"):
        train(tiny_recipe(), disc, tmp_path, machine=CPU)


def test_a_loss_that_is_no_number_ends_the_run_at_its_step(
    tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    recipe = tiny_recipe(optimiser={"rate": 1e30}, schedule={"warm_up": 0}, clip=0, save_every=1, steps=50)
    with pytest.raises(RecipeError, match=r"the loss of step \d+ is not a number .*; choose a smaller rate") as refusal:
        train(recipe, disc, tmp_path, machine=CPU)
    step = int(str(refusal.value).split("step ")[1].split()[0])
    assert read_state(tmp_path / "last.pt")["step"] == step - 1


def test_the_adversarial_stage_trains_both_networks(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    recipe = tiny_recipe(
        losses={"adversarial": 0.1}, crops={"window": 8}, adversary={"width": 4}, keep_every=1, log_every=1
    )
    train(recipe, disc, tmp_path, machine=CPU)
    first, last = (read_state(tmp_path / f"step_{step:06d}.pt") for step in (1, 8))
    pairs = [(first["network"], last["network"]), (first["adversary"]["network"], last["adversary"]["network"])]
    for before, after in pairs:
        weights = [key for key in before if key.endswith(("weight", "original"))]
        assert weights
        assert not any(torch.equal(before[key], after[key]) for key in weights)
    assert Run(tmp_path).metrics()[0].keys() >= {"l1", "adversarial", "discriminator", "loss"}


def test_a_plateau_lowers_the_rate_and_changes_the_augmentation(
    tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    plain = tiny_recipe(steps=6, schedule={"kind": "trapezoid", "warm_up": 0, "cool_down": 0}, log_every=1)
    changes = {"validate_every": 2, "plateau": {"patience": 1, "threshold": 9.0, "factor": 0.5}}
    train(plain, disc, tmp_path / "plain", machine=CPU, watch=MEASURED)
    falling = Recipe.model_validate(plain.model_dump(mode="json") | changes)
    train(falling, disc, tmp_path / "falling", machine=CPU, watch=MEASURED)
    rates = [line["rate"] for line in Run(tmp_path / "falling").metrics()]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.01, 0.005, 0.005])  # the first validation is the best so far
    bright = falling.model_dump(mode="json") | {"augmentations": [{}, {"brightness_chance": 1.0}]}
    train(Recipe.model_validate(bright), disc, tmp_path / "bright", machine=CPU, watch=MEASURED)
    one, other = ([line["loss"] for line in Run(tmp_path / name).metrics()] for name in ("falling", "bright"))
    assert one[:4] == other[:4]
    assert one[4:] != other[4:]


def test_the_best_checkpoint_is_that_of_the_best_validation(
    tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path
) -> None:
    values = iter([3.0, 7.0, 5.0])
    watch = Watch(validate=lambda _network: {"psnr": next(values)})
    train(tiny_recipe(validate_every=3), disc, tmp_path, machine=CPU, watch=watch)
    assert read_state(tmp_path / "best.pt")["step"] == 6
    assert [line.get("psnr") for line in Run(tmp_path).metrics()] == [3.0, 7.0, 5.0]


def test_it_stops_when_asked_and_goes_on(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    train(tiny_recipe(), disc, tmp_path / "whole", machine=CPU)
    asked = iter([False, False, False, True])
    train(tiny_recipe(), disc, tmp_path / "stopped", machine=Machine(device="cpu", stops=lambda: next(asked)))
    assert read_state(tmp_path / "stopped" / "last.pt")["step"] == 4
    train(tiny_recipe(), disc, tmp_path / "stopped", machine=Machine(device="cpu", max_seconds=0))
    assert read_state(tmp_path / "stopped" / "last.pt")["step"] == 5
    train(tiny_recipe(), disc, tmp_path / "stopped", machine=CPU)
    assert same_training(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_begins_from_the_weights_it_is_given(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    first = train(tiny_recipe(), disc, tmp_path / "first", machine=CPU)
    weights = tmp_path / "first.safetensors"
    card = Card(name="first", model="lmi-edsr", config=tiny_recipe().config)
    save_checkpoint(weights, first, card, torch.float32)
    slow = tiny_recipe(optimiser={"rate": 1e-12}, steps=1)
    second = train(slow, disc, tmp_path / "second", machine=CPU, begin_from=weights)
    for name, value in load_checkpoint(weights)[0].state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value)
    train(slow, disc, tmp_path / "second", machine=CPU)  # goes on without them
    other = tiny_recipe(config={"encoder": {"width": 9, "depth": 1}})
    with pytest.raises(RecipeError, match="of another configuration than the recipe's"):
        train(other, disc, tmp_path / "third", machine=CPU, begin_from=weights)


def test_samples_are_shown(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    shown = [("disc", load_frame(disc[0].frames[0]))]
    watch = Watch(brightness, lambda network, place: write_samples(network, shown, (2.0, 3.7), place))
    train(tiny_recipe(), disc, tmp_path, machine=CPU, watch=watch)
    found = sorted(str(path.relative_to(tmp_path / "samples")) for path in (tmp_path / "samples").rglob("*.png"))
    assert found == [f"step_00000{step}/disc_x{scale}.png" for step in (3, 6, 8) for scale in ("2", "3.7")]
    assert read_image(tmp_path / "samples" / found[0]).pixels.shape == (48, 96, 3)


def test_what_cannot_be_trained_is_refused(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="bicubic has nothing to train"):
        train(tiny_recipe(model="bicubic").model_copy(update={"config": {}}), disc, tmp_path / "a", machine=CPU)
    with pytest.raises(RecipeError, match=r"losses\.deformation is for DDIR"):
        train(tiny_recipe(losses={"deformation": 1.0}), disc, tmp_path / "b", machine=CPU)
    with pytest.raises(RecipeError, match=r"losses\.likelihood is for LINF"):
        train(tiny_recipe(losses={"likelihood": 1.0}), disc, tmp_path / "c", machine=CPU)
    with pytest.raises(RecipeError, match="there is no picture to train on"):
        train(tiny_recipe(), [], tmp_path / "d", machine=CPU)
    with pytest.raises(DeviceError, match="device 'toaster' is not on this machine"):
        train(tiny_recipe(), disc, tmp_path / "e", machine=Machine(device="toaster"))
    assert not any(tmp_path.iterdir())


@pytest.mark.campaign  # compiling takes a minute
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, when its compiler is imported
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, and there is no g++")
def test_a_compiled_run_is_the_same_to_rounding(tiny_recipe: TinyRecipe, disc: list[Scene], tmp_path: Path) -> None:
    losses = []
    for name, compiled in (("plain", False), ("compiled", True)):
        train(tiny_recipe(steps=3, log_every=1, compiled=compiled), disc, tmp_path / name, machine=CPU)
        losses.append([line["loss"] for line in Run(tmp_path / name).metrics()])
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-5)
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)  # Adam makes more of what rounding leaves
