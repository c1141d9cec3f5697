"""How one result is measured: what a network is given, what figures see of its result, and the row that tells them."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anyzoom import __version__
from anyzoom.errors import AnyzoomError, CannotRead
from anyzoom.evaluate.consistency import reprojection
from anyzoom.evaluate.contender import Contender
from anyzoom.evaluate.data import DataSet, Item
from anyzoom.evaluate.figures import EQ, EXTRA, Figure, figures_of
from anyzoom.evaluate.metrics import Metric, metric
from anyzoom.evaluate.protocols import Protocol
from anyzoom.evaluate.records import Picture, Row
from anyzoom.evaluate.shrinking import Made, Pair
from anyzoom.grid import Size
from anyzoom.pairs.manifest import sha256_of

DEFAULT_SCALES = (2.0, 3.0, 4.0)  # of pictures whose LR is made
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measuring:
    """How models are measured; the same for all of them."""

    protocol: Protocol
    scales: tuple[float, ...] = ()  # none: those of photographed pairs, else DEFAULT_SCALES
    metrics: tuple[str, ...] = ("psnr",)  # rows of METRICS or EXTRA
    weights: Mapping[str, Path] | None = None  # of metrics, by their names
    precision: torch.dtype = torch.float32

    def digest(self, contender: str) -> str:
        """Of all that a value depends on, besides the picture and the scale; contender: its digest."""
        told = {
            "anyzoom": __version__,
            "model": contender,
            "protocol": self.protocol.model_dump(mode="json"),
            "metrics": self.metrics,
            "weights": {name: sha256_of(path) for name, path in (self.weights or {}).items()},
            "precision": str(self.precision),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def scales_of(self, data: DataSet) -> tuple[float, ...]:
        """At which a data set is measured."""
        return self.scales or data.scales or DEFAULT_SCALES

    def loaded(self) -> dict[str, Metric]:
        """Its metrics by their names, without EXTRA. Raises RecipeError, CheckpointError."""
        return {name: metric(name, self.weights or {}) for name in self.metrics if name not in EXTRA}

    def figures(self) -> list[Figure]:
        """What the values in its rows are called, in order. Raises RecipeError, CheckpointError."""
        return figures_of(self.metrics, self.loaded())


class Source:
    """One picture: what networks are given, and the truth."""

    def __init__(self, item: Item, protocol: Protocol) -> None:
        self.item = item
        self.protocol = protocol
        self._pair: tuple[float, Pair] | None = None  # the last

    @cached_property
    def digest(self) -> str:
        """Empty for files that cannot be read."""
        try:
            return self.item.sha256
        except CannotRead:
            return ""

    @cached_property
    def pictures(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """HR and, where it is photographed, LR, `h w 3`. Raises CannotRead, RecipeError."""
        return self.item.load()

    def pair(self, scale: float) -> Pair:
        """LR and HR in [0, 1]. Raises CannotRead, RecipeError, ScaleError."""
        if self._pair is None or self._pair[0] != scale:
            self.protocol.check(scale)
            hr, lr = self.pictures
            self._pair = scale, self.protocol.pair(hr, scale) if lr is None else Pair(_unit(lr), _unit(hr))
        return self._pair[1]


def _unit(picture: NDArray[np.uint8]) -> Picture:
    return picture.astype(np.float32) / np.float32(255)


def measured(
    blank: Row, source: Source, contender: Contender, measuring: Measuring, metrics: Mapping[str, Metric]
) -> Row:
    """A row, filled in. What fails is told in it."""
    try:
        lr, hr = source.pair(blank.scale)
        begun = time.perf_counter()
        result = contender.render(lr, Size(*hr.shape[:2]), measuring.precision)
        seconds = time.perf_counter() - begun
        if not np.isfinite(result).all():
            raise CannotRead("the result holds values that are not finite (NaN or infinity).")
    except Exception as error:
        return blank.model_copy(update={"error": _words(error)})
    values: dict[str, float | None] = {}
    errors = []
    sight = Sight(source, contender, measuring, result, Pair(lr, hr), blank.scale)
    for name in measuring.metrics:
        try:
            found = sight.extra(name) if name in EXTRA else {name: sight.judge(metrics[name])}
            if any(math.isnan(value) for value in found.values()):
                raise CannotRead("the figure is not a number.")
            values |= {figure: value if math.isfinite(value) else None for figure, value in found.items()}
        except Exception as error:
            words = _words(error)
            errors.append(words if words.startswith(name) else f"{name}: {words}")
    told = {"lr_size": lr.shape[:2], "size": hr.shape[:2], "seconds": seconds, "values": values}
    return blank.model_copy(update={**told, "error": " ".join(errors)})


def _words(error: Exception) -> str:
    """In one line. What is no mistake of a user's is told in full in the log."""
    if not isinstance(error, AnyzoomError):
        logger.error("%s", error, exc_info=error)
        return " ".join(f"{type(error).__name__}: {error}".split())
    return " ".join(str(error).split())


class Sight:
    """A result and all that figures are made of."""

    def __init__(
        self,
        source: Source,
        contender: Contender,
        measuring: Measuring,
        result: Picture,
        pair: Pair,
        scale: float,
    ) -> None:
        self.source, self.contender, self.measuring = source, contender, measuring
        self.result, self.pair, self.scale = result, pair, scale
        self._judged: dict[str, tuple[Picture, Picture]] = {}

    def judge(self, metric: Metric) -> float:
        """What a metric says. Raises as it does, and as the protocol."""
        if metric.colours not in self._judged:
            self._judged[metric.colours] = self.measuring.protocol.judged(
                self.result, self.pair.hr, self.scale, colours=metric.colours
            )
        result, truth = self._judged[metric.colours]
        return metric(result, truth if metric.needs_truth else None)

    def extra(self, name: str) -> dict[str, float]:
        """The figures of a row of EXTRA."""
        if name == "reprojection":
            how = self.measuring.protocol.lr
            by = how.by_at(self.scale) if isinstance(how, Made) else "matlab"
            return {name: reprojection(self.result, self.pair.lr, by)}
        found = EQ[name].measure(self._render, self.source.pictures[0], self.scale)
        return {name: found.eq_db, f"{name}-du": found.psnr_du, f"{name}-ud": found.psnr_ud}

    def _render(self, picture: Picture, size: Size) -> Picture:
        return self.contender.render(picture, size, self.measuring.precision)
