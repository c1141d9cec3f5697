"""How much faster `render` is than each network as published, at equal pixels, and how much less memory it takes.

    python benchmarks/decoders.py [NETWORK...] [--lr 96] [--scales 4 3.7] [--threads 2] [--repeat 3] [--no-plain]

Every decoder at its paper's configuration, by its name in the table of networks. The published way is `query`, 30,000
points at a time; the whole grid at once where a network is not pointwise. The two run in turn in one process, so that
a busy machine slows both; the best time of each counts. Peak memory is that of a fresh process each, above what it
held before decoding. The bfloat16 column is faster than published by that factor, and its PSNR is against float32.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import psutil
import torch
from torch import Tensor

from anyzoom.grid import Size, cell_of, pixel_centres, size_for
from anyzoom.models import MODELS, ContinuousSR, Encoded
from anyzoom.models.table import DECODERS

CHUNK = 30_000  # points, as most of the authors' demonstrations
WHOLE = ("arbsr", "eqsr")  # networks that are not encoder and decoder: their times include the features


def published(network: ContinuousSR, encoded: Encoded, size: Size) -> Tensor:
    """The whole grid through `query`."""
    points = pixel_centres(size, encoded.lr).view(1, -1, 2)
    cell = cell_of(size, encoded.lr).unsqueeze(0)
    chunk = CHUNK if network.facts.pointwise else points.shape[1]
    parts = [network.query(encoded, part, cell) for part in points.split(chunk, dim=1)]
    return torch.cat(parts, dim=1).view(1, *size, 3).permute(0, 3, 1, 2)


def in_turn(repeat: int, *ways: Callable[[], Tensor]) -> tuple[list[float], list[Tensor]]:
    """The best seconds of each way and what it gives. All but the first, which is slow, run twice in each turn."""
    seconds, results = [float("inf")] * len(ways), [torch.empty(0)] * len(ways)
    for _ in range(repeat):
        for number, way in enumerate(ways):
            for _ in range(1 if number == 0 else 2):
                begun = time.perf_counter()
                results[number] = way()
                seconds[number] = min(seconds[number], time.perf_counter() - begun)
    return seconds, results


def prepared(name: str, side: int) -> tuple[ContinuousSR, Encoded, Encoded]:
    """A network with random weights and the features of a random picture, in float32 and bfloat16."""
    torch.manual_seed(0)
    row = MODELS[name if name in WHOLE else f"{name}-edsr"]
    network = row.build(row.config()).eval()
    encoded = network.encode(torch.rand(1, 3, side, side))
    return network, encoded, encoded._replace(features=encoded.features.bfloat16())


def peak(way: str, name: str, side: int, scale: float) -> int:
    """Bytes above the starting point that decoding takes at most; meant for a fresh process."""
    network, encoded, _ = prepared(name, side)
    size = size_for(Size(side, side), scale)
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
        network.render(encoded, size)
    over.set()
    watcher.join()
    return most - before


def peak_apart(way: str, name: str, side: int, scale: float, threads: int) -> float:
    """`peak` in a process of its own, in MiB."""
    command = [sys.executable, __file__, name, "--peak", way, "--lr", side, "--scales", scale, "--threads", threads]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)) / 2**20


def psnr(found: Tensor, expected: Tensor) -> float:
    return -10 * math.log10(max(float((found - expected).square().mean()), 1e-20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*DECODERS, *(name for name in WHOLE if name in MODELS)])
    parser.add_argument("--lr", type=int, default=96)
    parser.add_argument("--scales", type=float, nargs="+", default=[4.0, 3.7])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-plain", action="store_true", help="time render alone")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with torch.inference_mode():
        if args.peak:
            print(peak(args.peak, args.networks[0], args.lr, args.scales[0]))
            return
        for scale in args.scales:
            table(args.networks, args.lr, scale, args.threads, args.repeat, not args.no_plain)


def table(networks: list[str], side: int, scale: float, threads: int, repeat: int, plain: bool) -> None:
    """One scale, one row per network, and the geometric mean of the ratios."""
    size = size_for(Size(side, side), scale)
    print(f"{side}x{side} to {size}, {threads} threads; seconds, MiB of working memory")
    print(
        f"{'':10}{'published':>10}{'render':>9}{'ratio':>8}{'bfloat16':>9}{'ratio':>8}{'dB':>7}{'difference':>12}",
        end="",
    )
    print(f"{'MiB published':>15}{'MiB render':>12}")
    ratios = []
    for name in networks:
        network, encoded, half = prepared(name, side)
        ways = [partial(network.render, part, size) for part in (encoded, half)]
        first = partial(published, network, encoded, size) if plain else ways[0]
        (slow, fast, faster), (slowly, quickly, halved) = in_turn(repeat, first, *ways)
        memory = peak_apart("render", name, side, scale, threads)
        if not plain:
            times = f"{'':>10}{fast:>9.2f}{'':>8}{faster:>9.2f}{'':>8}{psnr(halved, quickly):>7.1f}"
            print(f"{name:10}{times}{'':>27}{memory:>12.0f}", flush=True)
            continue
        most, difference = peak_apart("published", name, side, scale, threads), float((slowly - quickly).abs().max())
        ratios.append(slow / fast)
        print(
            f"{name:10}{slow:>10.2f}{fast:>9.2f}{slow / fast:>7.1f}x{faster:>9.2f}{slow / faster:>7.1f}x"
            f"{psnr(halved, quickly):>7.1f}{difference:>12.1e}{most:>15.0f}{memory:>12.0f}",
            flush=True,
        )
    if ratios:
        print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.1f}x, least {min(ratios):.1f}x\n")


if __name__ == "__main__":
    main()
