"""The processes and devices of a run: one, or as many as `torchrun` has started."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from anyzoom.errors import AnyzoomError, DeviceError, MissingExtra, RecipeError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE = timedelta(hours=1)  # with the other processes, of which the first may be validating
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Machine:
    """Where a run computes. Nothing here changes its numbers, apart from how a device rounds."""

    device: str = "auto"  # cpu, cuda, mps
    workers: int = 0  # processes that prepare crops, for each process that trains
    cache: int = 4 << 30  # bytes of decoded pictures kept
    max_seconds: float = math.inf  # after which the run saves its state and ends
    stops: Callable[[], bool] = lambda: False  # asked at every step; True saves the state and ends


def fabric_for(machine: Machine, precision: Precision, batch: int, accumulate: int) -> Fabric:
    """Devices, precision and processes, launched. Under torchrun every process takes its share of a step's batch.

    Raises DeviceError for a device that is not there, RecipeError for a batch that cannot be shared.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    here, nodes = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    processes = here * nodes
    if batch % (accumulate * processes):
        raise RecipeError(
            f"a batch of {batch} cannot be shared by {processes} processes in {accumulate} parts. "
            f"Choose a multiple of {accumulate * processes}."
        )
    try:
        fabric = Fabric(
            accelerator=machine.device,
            devices=here,
            num_nodes=nodes,
            strategy=DDPStrategy(timeout=PATIENCE) if processes > 1 else "auto",
            precision=precision,
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        if processes > 1 and "devi" not in str(error):
            raise
        raise DeviceError(f"device {machine.device!r} is not on this machine. Choose auto or cpu.") from error
    return fabric


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """Raises AnyzoomError when another process of the run has gone away, whatever the backend calls that."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        gone = any(word in text for word in ("connection closed", "connection reset", "gloo", "nccl", "timed out"))
        if fabric.world_size == 1 or not gone:
            raise
        raise AnyzoomError(
            f"another process of this run has ended, so process {fabric.global_rank} ends too. The last checkpoint is "
            f"kept; start all processes again with --resume."
        ) from error
