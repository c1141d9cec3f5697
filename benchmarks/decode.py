"""How much faster `render` is than the network as published, at equal pixels, and how much less memory it takes.

    python benchmarks/decode.py [--threads 2] [--repeat 5]

The published way: every output pixel's sixteen tokens gathered, concatenated and pushed through whole MLPs, 30,000
pixels at a time. Both run in turn in one process, so that a busy machine slows both; the best time of each counts.
Peak memory is that of a fresh process each, above what it held before decoding.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
import torch
from torch import Tensor

from anyzoom.checkpoint import load_model
from anyzoom.grid import Size, cell_of, pixel_centres, size_for
from anyzoom.models import ContinuousSR, Encoded

LR = Size(96, 96)
SCALES = (4.0, 3.7, 2.0, 1.5)
CHUNK = 30_000  # pixels, as the authors' demonstration


def published(network: ContinuousSR, encoded: Encoded, size: Size) -> Tensor:
    """The whole grid through `query`, in chunks."""
    points = pixel_centres(size, encoded.lr).view(1, -1, 2)
    cell = cell_of(size, encoded.lr).unsqueeze(0)
    parts = [network.query(encoded, part, cell) for part in points.split(CHUNK, dim=1)]
    return torch.cat(parts, dim=1).view(1, *size, 3).permute(0, 3, 1, 2)


def best_of(repeat: int, *ways: Callable[[], Tensor]) -> list[float]:
    """The best seconds of each way, taken in turn."""
    seconds = [float("inf")] * len(ways)
    for _ in range(repeat):
        for number, way in enumerate(ways):
            begun = time.perf_counter()
            way()
            seconds[number] = min(seconds[number], time.perf_counter() - begun)
    return seconds


def prepared() -> tuple[ContinuousSR, Encoded, Encoded]:
    """The shipped network and the features of a random picture, in float32 and bfloat16."""
    network = load_model()
    encoded = network.encode(torch.rand(1, 3, *LR, generator=torch.Generator().manual_seed(0)))
    return network, encoded, encoded._replace(features=encoded.features.bfloat16())


def peak(way: str, scale: float) -> int:
    """Bytes above the starting point that decoding takes at most; meant for a fresh process."""
    network, encoded, half = prepared()
    size = size_for(LR, scale)
    process, over = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not over.wait(0.001):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if way == "published":
        published(network, encoded, size)
    else:
        network.render(half if way == "bfloat16" else encoded, size)
    over.set()
    watcher.join()
    return most - before


def peak_apart(way: str, scale: float, threads: int) -> float:
    """`peak` in a process of its own, in MiB."""
    command = [sys.executable, __file__, "--peak", way, str(scale), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with torch.inference_mode():
        if args.peak:
            print(peak(args.peak[0], float(args.peak[1])))
            return
        network, encoded, half = prepared()
        print(f"LMI, {LR} input, {args.threads} threads, microseconds per output pixel, MiB of working memory")
        header = ("scale", "published", "render", "ratio", "bfloat16", "ratio", "difference")
        print(("{:>11}" * 7).format(*header), f"{'MiB published':>15}{'MiB render':>12}")
        for scale in SCALES:
            size = size_for(LR, scale)
            ways = (
                lambda s=size: published(network, encoded, s),
                lambda s=size: network.render(encoded, s),
                lambda s=size: network.render(half, s),
            )
            difference = float((ways[0]() - ways[1]()).abs().max())
            plain, fast, faster = (1e6 * seconds / size.pixels for seconds in best_of(args.repeat, *ways))
            memory = [peak_apart(way, scale, args.threads) for way in ("published", "render")]
            print(
                f"{scale:>11g}{plain:>11.2f}{fast:>11.2f}{plain / fast:>10.1f}x{faster:>11.2f}"
                f"{plain / faster:>10.1f}x{difference:>11.1e}{memory[0]:>16.0f}{memory[1]:>12.0f}"
            )


if __name__ == "__main__":
    main()
