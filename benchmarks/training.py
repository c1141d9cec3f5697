"""How fast training is: steps per second in float32 and bfloat16, waiting for data, memory; and crops per second.

    python benchmarks/training.py FOLDER [--recipe recipes/lmi-edsr-clean.toml] [--steps 60] [--threads 2] [--workers 1]

FOLDER: high-resolution pictures. Each precision trains in a process of its own, in turn, twice; the faster one counts.
Crops per second are those of one core, by degradation.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from anyzoom.degrade import DEGRADATIONS
from anyzoom.pairs import PictureCache, RandomCrops, read_scenes
from anyzoom.train import load_recipe

PRECISIONS = ("32-true", "bf16-mixed")


def trained(folder: Path, recipe: Path, precision: str, steps: int, threads: int, workers: int) -> dict[str, Any]:
    """What the last line of times.jsonl says."""
    with tempfile.TemporaryDirectory() as place:
        changed = Path(place) / "recipe.toml"
        head = f'steps = {steps}\nprecision = "{precision}"\nlog_every = {steps}\nsave_every = {steps}\n'
        kept = [line for line in recipe.read_text("utf-8").splitlines() if line.split(" ")[0] not in head]
        changed.write_text(head + "\n".join(kept) + "\n", "utf-8")
        words = ["train", str(changed), "--data", str(folder), "-o", f"{place}/run", "--device", "cpu"]
        words += ["--threads", str(threads), "--workers", str(workers)]
        subprocess.run([sys.executable, "-m", "anyzoom", *words], check=True, stdout=subprocess.DEVNULL)
        line: dict[str, Any] = json.loads((Path(place) / "run" / "times.jsonl").read_text("utf-8").splitlines()[-1])
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/lmi-edsr-clean.toml"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    lines: dict[str, list[dict[str, Any]]] = {precision: [] for precision in PRECISIONS}
    for _ in range(2):
        for precision in PRECISIONS:
            found = trained(args.folder, args.recipe, precision, args.steps, args.threads, args.workers)
            lines[precision].append(found)
    print(f"{args.recipe.stem}, {args.threads} threads, {args.workers} workers")
    print(f"{'':<14}{'steps/s':>9}{'waiting':>9}{'MiB':>8}")
    best = {precision: max(found, key=lambda line: line["steps_per_second"]) for precision, found in lines.items()}
    for precision, line in best.items():
        waits = f"{line['waiting']:.1%}"
        print(f"{precision:<14}{line['steps_per_second']:>9.2f}{waits:>9}{line['memory_mib']:>8}")
    one, other = (best[precision]["steps_per_second"] for precision in PRECISIONS)
    print(f"bfloat16 {other / one:.2f}x as fast\n")

    torch.set_num_threads(1)
    scenes = read_scenes(args.folder, "hr").scenes[:20]
    pictures = PictureCache((frame for scene in scenes for frame in scene.frames), 4 << 30)
    plan = load_recipe(args.recipe).crops
    for name, degradation in DEGRADATIONS.items():
        crops = RandomCrops(scenes, pictures, plan, degradation(), length=1_000_000)
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < 4:
            crops[count]
            count += 1
        print(f"{name:<14}{count / 4:>6.0f} crops a second and core")


if __name__ == "__main__":
    main()
