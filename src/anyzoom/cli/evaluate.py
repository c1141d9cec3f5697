"""anyzoom evaluate"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from anyzoom.cli.words import Precision


def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Names from `anyzoom models list`, or .safetensors files.")
    ],
    data: Annotated[list[Path], typer.Option(metavar="FOLDER", help="High-resolution pictures; may be repeated.")],
    scales: Annotated[str, typer.Option(metavar="FACTORS", help="Separated by commas.")] = "2,3,4",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, mps.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="bfloat16 is faster where hardware has it.")] = Precision.float32,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Measure networks on benchmark pictures.

    Luma PSNR in dB: BT.601 luma, borders of the factor left out, 8 bits, LR by MATLAB's bicubic.
    """
    import torch
    from rich.console import Console
    from rich.table import Table

    from anyzoom.checkpoint import load_model
    from anyzoom.cli.words import scale_of
    from anyzoom.errors import ScaleError
    from anyzoom.evaluate import Benchmark
    from anyzoom.grid import as_scale
    from anyzoom.zoom.engine import choose_device

    factors = [scale_of(part) for part in scales.split(",")]
    for factor in factors:
        if not isinstance(factor, float):
            raise ScaleError("a benchmark uses one factor for both axes, such as 2 or 3.7.")
        as_scale(factor)
    where = choose_device(device)
    rows: list[dict[str, object]] = []
    for folder in data:
        benchmark = Benchmark(folder)
        for name in models:
            network = load_model(name).to(where)
            for factor in factors:
                assert isinstance(factor, float)
                print(f"{folder.name} {name} x{factor:g}", file=sys.stderr)
                psnr = benchmark.psnr(network, factor, getattr(torch, precision.value))
                value = round(psnr, 3) if math.isfinite(psnr) else None  # equal pictures; JSON has no infinity
                rows.append({"data": folder.resolve().name, "model": name, "scale": factor, "psnr_y": value})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("data", "model", *(f"x{factor:g}" for factor in factors), box=None, header_style="", pad_edge=False)
    for first in range(0, len(rows), len(factors)):
        values = [row["psnr_y"] for row in rows[first : first + len(factors)]]
        shown = ["equal" if value is None else f"{value:.2f}" for value in values]
        table.add_row(str(rows[first]["data"]), str(rows[first]["model"]), *shown)
    Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 1 << 16).print(table, markup=False)
