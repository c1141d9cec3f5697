"""Training: it learns, it goes on as if it had never stopped, and it refuses what it cannot do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anyzoom.errors import DeviceError, MissingExtra, RecipeError
from anyzoom.grid import Size
from anyzoom.models import ContinuousSR
from anyzoom.pairs import RandomCrops
from anyzoom.train import Recipe, train
from anyzoom.train.loop import Objective, rate_at

Picture = NDArray[np.uint8]
TinyRecipe = Callable[..., Recipe]


class Killed(Exception):
    """Stands for the end of a process."""


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]


def state_of(run: Path) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(run / "state.pt", weights_only=True)
    return saved


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
    """All but the seconds that it took."""
    first, second = state_of(one), state_of(other)
    return equal(first | {"seconds": 0}, second | {"seconds": 0})


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.1),  # 10 steps of warm-up
        (4, 0.5),
        (9, 1.0),
        (10, 1.0),
        (69, 1.0),
        (70, 1.0),  # 30 steps of cool-down
        (85, 0.5),
        (99, 1 / 30),  # the last step still moves
    ],
)
def test_rates_in_numbers(step: int, expected: float) -> None:
    recipe = Recipe(steps=100, warm_up=10, cool_down=0.3, learning_rate=1.0)
    assert rate_at(step, recipe) == pytest.approx(expected, abs=1e-12)
    assert rate_at(step, Recipe(**{**recipe.model_dump(), "learning_rate": 6e-4})) == pytest.approx(
        6e-4 * expected, abs=1e-15
    )


def test_rates_without_warm_up_or_cool_down() -> None:
    flat = Recipe(steps=7, warm_up=0, cool_down=0, learning_rate=0.5)
    assert [rate_at(step, flat) for step in range(7)] == [0.5] * 7
    all_fall = Recipe(steps=4, warm_up=0, cool_down=1, learning_rate=1.0)
    assert [rate_at(step, all_fall) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_the_loss_is_the_mean_absolute_error(tiny_recipe: TinyRecipe, disc: Picture) -> None:
    class Grey(ContinuousSR):
        """Says 0.5 everywhere."""

        def encode(self, lr: Any, *_: Any) -> Any:
            return lr

        def query(self, _encoded: Any, points: Any, _cell: Any) -> Any:
            return torch.full((*points.shape[:2], 3), 0.5)

        def render(self, *_: Any) -> Any:
            raise NotImplementedError

    crop = RandomCrops([disc], 1, patch=6, queries=20)[0]
    batch = type(crop)(*(tensor[None] for tensor in crop))
    expected = np.abs(crop.colours.numpy().astype(np.float64) - 0.5).mean()
    assert float(Objective(Grey())(batch)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_one_picture_can_be_learnt_by_heart(
    precision: str, tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path
) -> None:
    """The error falls to less than a quarter of what it was in the first ten steps."""
    recipe = tiny_recipe(steps=160, batch=4, scales=(2.0, 2.0), warm_up=10, save_every=10, precision=precision)
    network = train(recipe, [disc], tmp_path, device="cpu")
    losses = [line["loss"] for line in log_of(tmp_path)]
    assert len(losses) == 16
    assert losses[-1] < losses[0] / 4
    assert not network.training
    assert network(torch.rand(1, 3, 5, 4), Size(12, 11)).isfinite().all()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    precision: str, tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path
) -> None:
    recipe = tiny_recipe(precision=precision)
    train(recipe, [disc], tmp_path / "whole", device="cpu")

    def kill(step: int, seconds: float) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, [disc], tmp_path / "killed", device="cpu", progress=kill)
    assert state_of(tmp_path / "killed")["step"] == 3  # the last one saved
    assert not same_training(tmp_path / "whole", tmp_path / "killed")
    torch.rand(5)  # whatever the process did in between
    steps: list[int] = []
    train(recipe, [disc], tmp_path / "killed", device="cpu", progress=lambda step, _: steps.append(step))
    assert steps == [4, 5, 6, 7, 8]
    assert same_training(tmp_path / "whole", tmp_path / "killed")
    lines = [log_of(tmp_path / name) for name in ("whole", "killed")]
    assert [line["step"] for line in lines[0]] == [3, 6, 8]
    assert [line | {"seconds": 0} for line in lines[0]] == [line | {"seconds": 0} for line in lines[1]]


def test_the_same_seed_gives_the_same_numbers(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    train(tiny_recipe(), [disc], tmp_path / "one", device="cpu")
    torch.manual_seed(1234)
    train(tiny_recipe(), [disc], tmp_path / "again", device="cpu")
    train(tiny_recipe(seed=1), [disc], tmp_path / "other", device="cpu")
    assert same_training(tmp_path / "one", tmp_path / "again")
    assert not same_training(tmp_path / "one", tmp_path / "other")


def test_gradients_are_clipped(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    """Adam forgives a constant factor, so what is left is that every step's gradients come to the same norm."""
    train(tiny_recipe(clip=1e-3), [disc], tmp_path / "clipped", device="cpu")
    train(tiny_recipe(clip=1e9), [disc], tmp_path / "free", device="cpu")
    assert not same_training(tmp_path / "clipped", tmp_path / "free")


def test_a_run_can_be_prolonged_before_its_rate_falls(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    train(tiny_recipe(steps=8), [disc], tmp_path / "whole", device="cpu")
    train(tiny_recipe(steps=4, cool_down=0.0), [disc], tmp_path / "prolonged", device="cpu")
    train(tiny_recipe(steps=8), [disc], tmp_path / "prolonged", device="cpu")
    assert same_training(tmp_path / "whole", tmp_path / "prolonged")
    kept = json.loads((tmp_path / "prolonged" / "recipe.json").read_text("utf-8"))
    assert Recipe.model_validate(kept) == tiny_recipe(steps=8)


def test_a_finished_run_only_returns_its_network(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    first = train(tiny_recipe(), [disc], tmp_path, device="cpu")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = train(tiny_recipe(), [disc], tmp_path, device="cpu")
    assert equal(first.state_dict(), again.state_dict())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_averaged_weights_are_returned(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    network = train(tiny_recipe(), [disc], tmp_path / "smooth", device="cpu")
    saved = state_of(tmp_path / "smooth")
    for name, value in network.state_dict().items():
        assert torch.equal(value, saved["averaged"][f"module.network.{name}"])
        assert not torch.equal(value, saved["objective"][f"network.{name}"])
    train(tiny_recipe(average=0.0), [disc], tmp_path / "last", device="cpu")
    saved = state_of(tmp_path / "last")
    for name in network.state_dict():
        torch.testing.assert_close(saved["averaged"][f"module.network.{name}"], saved["objective"][f"network.{name}"])


def test_what_is_measured_is_logged(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def measure(network: ContinuousSR) -> dict[str, float]:
        assert not network.training
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"psnr_y_x2": 30.0 + len(seen)}

    network = train(tiny_recipe(), [disc], tmp_path, device="cpu", validate=measure)
    log = log_of(tmp_path)
    assert [line["psnr_y_x2"] for line in log] == [31.0, 32.0, 33.0]
    assert [line["rate"] for line in log] == [rate_at(step - 1, tiny_recipe()) for step in (3, 6, 8)]
    assert [line["seconds"] for line in log] == sorted(line["seconds"] for line in log)
    assert equal(seen[-1], dict(network.state_dict()))


def test_measuring_changes_nothing(tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path) -> None:
    def measure(network: ContinuousSR) -> dict[str, float]:
        with torch.no_grad():
            return {"mean": float(network(torch.rand(1, 3, 4, 4), Size(8, 8)).mean())}

    train(tiny_recipe(), [disc], tmp_path / "blind", device="cpu")
    train(tiny_recipe(), [disc], tmp_path / "measured", device="cpu", validate=measure)
    assert same_training(tmp_path / "blind", tmp_path / "measured")


def test_a_folder_of_another_network_is_refused_and_left_alone(
    tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path
) -> None:
    train(tiny_recipe(steps=1), [disc], tmp_path, device="cpu")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before.keys() == {"recipe.json", "state.pt", "log.jsonl"}
    with pytest.raises(RecipeError, match=r"state\.pt belongs to another network\. Choose another run folder\."):
        train(tiny_recipe(config={"encoder": {"width": 6, "depth": 1}}), [disc], tmp_path, device="cpu")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for recipe, pictures, message in (
        (tiny_recipe(), [disc[:20]], "picture 0 is 24x20, smaller than a crop of 24x24"),
        (tiny_recipe(), [], "there is no picture to train on"),
        (tiny_recipe(queries=65), [disc], "a crop of 8x8 cannot answer 65 queries"),
        (tiny_recipe(model="sharper"), [disc], "unknown model 'sharper'"),
        (tiny_recipe(model="bicubic", config={}), [disc], "bicubic has nothing to train"),
        (tiny_recipe(config={"encoder": {"widht": 8}}), [disc], "Did you mean 'width'"),
    ):
        with pytest.raises(RecipeError, match=message):
            train(recipe, pictures, run, device="cpu")
    absent = "mps" if sys.platform == "linux" else "tpu"
    for device in ("quick", absent):
        with pytest.raises(DeviceError, match=f"device '{device}' is not on this machine"):
            train(tiny_recipe(), [disc], run, device=device)
    assert not run.exists()


def test_without_lightning_fabric_the_extra_is_named(
    tiny_recipe: TinyRecipe, disc: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anyzoom\[train\]'"):
        train(tiny_recipe(), [disc], tmp_path, device="cpu")
