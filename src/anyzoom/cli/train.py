"""anyzoom train"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in TOML.")],
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="A folder of high-resolution pictures.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The run folder; an unfinished run goes on.")
    ],
    validate: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder of pictures to measure PSNR on.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, mps.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Processor threads; all without it.")
    ] = None,
) -> None:
    """Train a network from a recipe. Stop it at any time; the same command goes on from the last saved step."""
    import torch

    from anyzoom.pairs import load_pictures
    from anyzoom.train import load_recipe
    from anyzoom.train import train as run_training

    plan = load_recipe(recipe)
    if threads:
        torch.set_num_threads(threads)
    measure = None
    if validate is not None:
        from anyzoom.evaluate import Benchmark

        measure = Benchmark(validate).psnr_of
    told = time.monotonic()

    def progress(step: int, seconds: float) -> None:
        nonlocal told
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"step {step} of {plan.steps}, {seconds:.0f} s", file=sys.stderr)

    run_training(plan, load_pictures(data), output, validate=measure, device=device, progress=progress)
    print(f"{output}: {plan.steps} steps done")
