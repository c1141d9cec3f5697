"""Does training on photographed pairs pay? The same short training on real and on bicubic pairs, tested on real pairs.

    python benchmarks/real.py FOLDER [--steps 200] [--seeds 3] [--threads 2]

FOLDER: a dataset of pairs with a split for validation, such as City100, or one that `anyzoom pairs make` has written,
whose last fifth of scenes is kept for validation then. Both trainings begin with the shipped weights, which have seen
bicubic pairs alone. The claim is that of COZ (Fu et al., CVPR 2024, Table 4).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from anyzoom import load_model
from anyzoom.checkpoint import shipped_cards
from anyzoom.evaluate import PairBenchmark
from anyzoom.pairs import Scene, read_scenes, splits_of
from anyzoom.train import Machine, Recipe, train


def splits(folder: Path) -> tuple[Sequence[Scene], Sequence[Scene]]:
    """Scenes to train on, and others to test on."""
    if "validation" in splits_of(folder):
        return read_scenes(folder).scenes, read_scenes(folder, split="validation").scenes
    scenes = read_scenes(folder).scenes
    count = len(scenes) - max(1, len(scenes) // 5)
    return scenes[:count], scenes[count:]


def factors(scenes: Sequence[Scene]) -> list[float]:
    """All that occur between a scene's frames and its largest."""
    found = {
        round(scene.frames[-1].size.width / frame.size.width, 2) for scene in scenes for frame in scene.frames[:-1]
    }
    return sorted(found)


def recipe(steps: int, seed: int, scales: list[float]) -> Recipe:
    return Recipe.model_validate(
        {
            "model": "lmi-edsr",
            "steps": steps,
            "batch": 8,
            "seed": seed,
            "log_every": steps,
            "save_every": steps,
            "optimiser": {"rate": 1e-4},
            "schedule": {"kind": "trapezoid", "warm_up": 20, "cool_down": 0.5},
            "average": 0.95,
            "crops": {
                "queries": 320,
                "drawn_by": "scene",
                "pairing": "highest",
                "scales": {"kind": "choice", "of": scales},
            },
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    training, testing = splits(args.folder)
    scales = factors(training)
    benchmark = PairBenchmark(testing)
    print(f"{len(training)} scenes to train on, {len(testing)} to test on, factors {scales}, {args.steps} steps")
    print(f"{'':<22}" + "".join(f"{f'seed {seed}':>9}" for seed in range(args.seeds)) + f"{'mean':>9}{'deviation':>11}")
    for name in ("bicubic", "lmi-edsr-clean"):
        print(f"{name:<22}{benchmark.psnr(load_model(name)):>9.2f}", flush=True)
    kinds = {
        "trained on bicubic": [Scene(scene.name, scene.frames[-1:]) for scene in training],
        "trained on real": training,
    }
    results = {}
    for kind, scenes in kinds.items():
        values = []
        for seed in range(args.seeds):
            with tempfile.TemporaryDirectory() as folder:
                network = train(
                    recipe(args.steps, seed, scales),
                    scenes,
                    Path(folder),
                    machine=Machine(device="cpu"),
                    begin_from=shipped_cards()["lmi-edsr-clean"][0],
                )
            values.append(benchmark.psnr(network))
        results[kind] = values
        text = "".join(f"{value:>9.2f}" for value in values)
        print(f"{kind:<22}{text}{np.mean(values):>9.2f}{np.std(values, ddof=1):>11.2f}", flush=True)
    gains = np.subtract(results["trained on real"], results["trained on bicubic"])
    print(f"gain {gains.mean():+.2f} dB, every seed: {', '.join(f'{gain:+.2f}' for gain in gains)}")


if __name__ == "__main__":
    main()
