"""anyzoom evaluate"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    models: Annotated[list[str], typer.Argument(help="Names from `anyzoom models list`, or .safetensors files.")],
    data: Annotated[list[Path], typer.Option(help="A folder of high-resolution pictures; may be repeated.")],
    scales: Annotated[str, typer.Option(help="Factors, separated by commas.")] = "2,3,4",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Luma PSNR on benchmark pictures: BT.601 luma, border = factor, 8 bits, MATLAB-bicubic LR."""
    from rich.console import Console
    from rich.table import Table

    from anyzoom.checkpoint import load_model
    from anyzoom.cli.words import scale_of
    from anyzoom.errors import ScaleError
    from anyzoom.evaluate import Benchmark
    from anyzoom.zoom.engine import choose_device

    factors = [scale_of(part) for part in scales.split(",")]
    if not all(isinstance(factor, float) for factor in factors):
        raise ScaleError("a benchmark uses one factor for both axes, such as 2 or 3.7.")
    where = choose_device(device)
    rows: list[dict[str, object]] = []
    for folder in data:
        benchmark = Benchmark(folder)
        for name in models:
            network = load_model(name).to(where)
            for factor in factors:
                assert isinstance(factor, float)
                print(f"{folder.name} {name} x{factor:g}", file=sys.stderr)
                psnr = benchmark.psnr(network, factor)
                rows.append({"data": folder.name, "model": name, "scale": factor, "psnr_y": round(psnr, 3)})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("data", "model", *(f"x{factor:g}" for factor in factors), box=None, header_style="")
    for folder in data:
        for name in models:
            found = [row["psnr_y"] for row in rows if row["data"] == folder.name and row["model"] == name]
            table.add_row(folder.name, name, *(f"{value:.2f}" for value in found))
    Console(highlight=False).print(table)
