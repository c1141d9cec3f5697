"""The report of a calibration: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anyzoom.calibrate.detect import Checkerboard
from anyzoom.calibrate.lens import LensProfile, Wanted
from anyzoom.calibrate.shots import Measured
from anyzoom.calibrate.target import Target
from anyzoom.image.part import refused_by_system

CHART = (640, 360)  # width, height
INSIDE = (60, 15, 625, 315)  # of the chart: left, top, right, bottom
CURVE_POINTS = 200
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
th{font-weight:600}td:first-child,th:first-child{text-align:left}.good{color:#18794e}.open{color:#a15c00}.bad{color:#c00}
figure{display:inline-block;width:310px;margin:0 8px 16px 0;vertical-align:top}figcaption{font-size:13px}
svg{width:100%;height:auto}.charts{display:grid;grid-template-columns:1fr 1fr;gap:1em}
svg text{font:12px system-ui,sans-serif;fill:#444}
"""


def write_report(path: Path, profile: LensProfile, shots: Sequence[Measured], sought: Target | Checkerboard) -> None:
    """Curves, the wanted scales, and each of these photographs with what was found in it. Raises CannotWrite."""
    page = "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Lens calibration</title>',
            f"<style>{STYLE}</style><h1>Lens calibration</h1>",
            _facts(profile),
            "<h2>Wanted scales</h2>",
            _table(profile),
            '<h2>Over the ring</h2><div class="charts">',
            _scale_chart(profile),
            _distortion_chart(profile),
            "</div><h2>Photographs</h2>",
            "<p>Dots: corners that were found. Lines: where the target's rectangles lie by the fitted view.</p>",
            *(_photograph(one, sought) for one in sorted(shots, key=lambda one: one.shot.ring)),
            "</html>\n",
        ]
    )
    with refused_by_system(path):
        path.write_text(page, "utf-8")


def _facts(profile: LensProfile) -> str:
    backlash = (
        "not measured"
        if profile.backlash is None
        else f"add {profile.backlash:+.3g} to positions approached from the other side"
    )
    repeats = "not measured" if profile.repeatability is None else f"{100 * profile.repeatability:.3f} %"
    missing = ", ".join(f"x{scale:g}" for scale in profile.unreachable)
    return (
        f"<p>{len(profile.shots)} shots of {profile.size} pixels, scales 1 to {profile.reach:.3f}. "
        f"Backlash: {backlash}. Repeatability (one standard deviation): {repeats}. "
        f"A scale is accepted within {100 * profile.tolerance:.2f} %."
        + (f' <span class="bad">Out of reach: {missing}.</span>' if missing else "")
        + "</p>"
    )


def _table(profile: LensProfile) -> str:
    heads = ("scale", "ring position", "focal length, mm", "k1", "expected error", "last verified", "state")
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _row(wanted))}</tr>" for wanted in profile.wanted)
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>"


def _row(wanted: Wanted) -> tuple[str, ...]:
    last = wanted.tries[-1] if wanted.tries else None
    state = ("good", "verified") if wanted.verified else ("open", "corrected: verify again" if last else "not verified")
    return (
        f"x{wanted.scale:g}",
        f"{wanted.ring:.4f}",
        f"{wanted.focal_mm:.1f}" if wanted.focal_mm else "",
        f"{wanted.k1:+.4f}",
        f"± {100 * wanted.error:.3f} %",
        f"x{last.scale:.4f} at {last.ring:.4f} ({100 * (last.scale / wanted.scale - 1):+.3f} %)" if last else "",
        f'<span class="{state[0]}">{state[1]}</span>',
    )


class Axis(NamedTuple):
    """Values, and the pixels of a chart on which they lie."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _rings(profile: LensProfile) -> Axis:
    return Axis(float(profile.curve.positions[0]), float(profile.curve.positions[-1]), INSIDE[0], INSIDE[2])


def _scale_chart(profile: LensProfile) -> str:
    x, y = _rings(profile), Axis(0, math.log(profile.reach) * 1.03, INSIDE[3], INSIDE[1])
    top = profile.longest.px_per_mm
    marks = [
        f'<path d="M{INSIDE[0]} {y(math.log(w.scale)):.1f}H{x(w.ring):.1f}V{INSIDE[3]}" fill="none" stroke="#2a78d6" '
        f'stroke-dasharray="3 3"/>'
        for w in profile.wanted
    ]
    dots = [
        _dot(x(shot.ring), y(math.log(top / shot.px_per_mm)), "#222" if shot.role == "curve" else "#c33", shot.file)
        for shot in profile.shots
    ]
    labels = [(w.scale, y(math.log(w.scale))) for w in profile.wanted]
    curve = [(x(ring), y(profile.curve.at(ring))) for ring in np.linspace(x.low, x.high, CURVE_POINTS)]
    return _chart("Scale", x, [*marks, _line(curve), *dots], [(f"x{scale:g}", place) for scale, place in labels])


def _distortion_chart(profile: LensProfile) -> str:
    values = [value for shot in profile.shots for value in (shot.k1 - shot.k1_error, shot.k1 + shot.k1_error)]
    low, high = min(*values, 0.0), max(*values, 0.0)
    margin = 0.05 * (high - low) + 1e-4
    x, y = _rings(profile), Axis(low - margin, high + margin, INSIDE[3], INSIDE[1])
    bars = [
        f'<path d="M{x(shot.ring):.1f} {y(shot.k1 - shot.k1_error):.1f}V{y(shot.k1 + shot.k1_error):.1f}" '
        'stroke="#222"/>' + _dot(x(shot.ring), y(shot.k1), "#222" if shot.role == "curve" else "#c33", shot.file)
        for shot in profile.shots
    ]
    curve = [(x(ring), y(profile.k1(ring))) for ring in np.linspace(x.low, x.high, CURVE_POINTS)]
    return _chart("Radial distortion k1", x, [_line(curve), *bars], [(f"{v:+.3f}", y(v)) for v in _ticks(low, high)])


def _ticks(low: float, high: float) -> Iterable[float]:
    """Round numbers between two others."""
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-3)))
    step = step if (high - low) / step >= 3 else step / 5
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _line(points: Iterable[tuple[float, float]]) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="#888" stroke-width="1.5"/>'


def _dot(x: float, y: float, colour: str, name: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{escape(name)}</title></circle>'


def _chart(title: str, x: Axis, drawn: Iterable[str], labels: Iterable[tuple[str, float]]) -> str:
    left, top, right, bottom = INSIDE
    beside = "".join(
        f'<text x="{left - 6}" y="{place + 4:.1f}" text-anchor="end">{text}</text>' for text, place in labels
    )
    below = "".join(
        f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in _ticks(x.low, x.high)
    )
    return (
        f'<div><h3>{title}</h3><svg viewBox="0 0 {CHART[0]} {CHART[1]}"><path d="M{left} {top}V{bottom}H{right}" '
        f'fill="none" stroke="#444"/>{beside}{below}<text x="{(left + right) / 2}" y="{CHART[1] - 8}" '
        f'text-anchor="middle">ring position</text>{"".join(drawn)}</svg></div>'
    )


def _photograph(one: Measured, sought: Target | Checkerboard) -> str:
    shot, size = one.shot, one.size
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in one.corners.image)
    lines = ""
    if isinstance(sought, Target):
        for scale in sought.scales:
            seen = one.view.seen(sought.rectangle(scale) - sought.origin_mm)
            lines += f"M{'L'.join(f'{x:.1f} {y:.1f}' for x, y in seen)}z"
    unit = size.width / 300
    picture = base64.b64encode(one.thumbnail).decode()
    return (
        f'<figure><svg viewBox="-0.5 -0.5 {size.width} {size.height}"><image x="-0.5" y="-0.5" width="{size.width}" '
        f'height="{size.height}" href="data:image/jpeg;base64,{picture}"/>'
        f'<path d="{lines}" fill="none" stroke="#e0a000" stroke-width="{unit:.2f}"/>'
        f'<path d="{dots}" stroke="#0a6" stroke-width="{2.2 * unit:.2f}" stroke-linecap="round"/>'
        f"</svg><figcaption>{escape(shot.file)}: ring {shot.ring:g}, {shot.role}, {shot.corners} corners, "
        f"{shot.px_per_mm:.3f} px/mm, k1 {shot.k1:+.4f} ± {shot.k1_error:.4f}, residual {shot.rmse_px:.2f} px"
        f"</figcaption></figure>"
    )
