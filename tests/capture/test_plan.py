"""Stops within the ends, one way, and spaced as asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from anyzoom.calibrate.lens import LensProfile, Shot
from anyzoom.capture.plan import Estimate, Pace, Plan, Spacing, Stop, plan_run
from anyzoom.capture.rig import Ends
from anyzoom.errors import CaptureError, MotorError


def lens(wide: float = 0.0, tele: float = 80.0) -> LensProfile:
    """x4, whose logarithm grows evenly along the ring."""
    rings = np.linspace(wide, tele, 9)
    shots = tuple(
        Shot(
            file=f"{i}.jpg",
            ring=float(ring),
            px_per_mm=float(4 ** (i / 8)),
            error=1e-5,
            k1=0.0,
            k1_error=1e-4,
            corners=100,
            rmse_px=0.1,
        )
        for i, ring in enumerate(rings)
    )
    return LensProfile(height=600, width=900, shots=shots, wanted=())


@pytest.mark.parametrize("ends", [Ends(0, 80), Ends(-3, -77.5), Ends(10, 2)])
def test_equal_steps_of_the_ring_go_from_end_to_end(ends: Ends) -> None:
    plan = plan_run(ends, 60)
    positions = [stop.position for stop in plan.stops]
    assert (positions[0], positions[-1], len(positions)) == (ends.wide, ends.tele, 60)
    steps = [b - a for a, b in pairwise(positions)]
    assert np.allclose(steps, (ends.tele - ends.wide) / 59)
    assert plan.direction == (1 if ends.tele > ends.wide else -1)
    assert plan.shots == 61
    assert plan.grows(1) is None


@pytest.mark.parametrize(("wide", "tele"), [(0.0, 80.0), (80.0, 0.0)])
def test_a_calibrated_lens_gives_equal_steps_of_magnification(wide: float, tele: float) -> None:
    plan = plan_run(Ends(wide, tele), 5, spacing="magnification", lens=lens(wide, tele))
    assert [stop.scale for stop in plan.stops] == pytest.approx([4, 8**0.5, 2, 2**0.5, 1], rel=1e-4)
    assert [stop.position for stop in plan.stops] == pytest.approx(np.linspace(wide, tele, 5).tolist(), abs=1e-3)
    assert plan.grows(0) is None
    assert plan.grows(1) == pytest.approx(2**0.5, rel=1e-4)


def test_wanted_scales_and_the_long_end() -> None:
    plan = plan_run(Ends(0, 80), spacing="scales", scales=[2, 3, 2], lens=lens())
    assert [stop.scale for stop in plan.stops] == pytest.approx([3, 2, 1], rel=1e-4)
    assert plan.stops[-1].position == pytest.approx(80, abs=1e-3)


@pytest.mark.parametrize(
    ("spacing", "frames", "scales", "ends", "calibrated", "said"),
    [
        ("ring", 1, [], Ends(0, 80), False, "a run of 1 frames has nothing to compare. Ask for 2 or more"),
        (
            "magnification",
            60,
            [],
            Ends(0, 80),
            False,
            "stops by magnification need a calibrated lens: --lens lens.json",
        ),
        ("scales", 60, [], Ends(0, 80), True, "a run by scales needs some above 1"),
        ("scales", 60, [0.5, 2], Ends(0, 80), True, "a run by scales needs some above 1"),
        ("scales", 60, [5], Ends(0, 80), True, "scale 5 is out of reach: this lens was calibrated from 1 to 4.000"),
        ("scales", 60, [3], Ends(40, 80), True, "scale 3 lies at position 16.* outside of the motor's ends, 40 to 80"),
        ("magnification", 60, [], Ends(-5, 80), True, "position -5 of the motor: "),
    ],
)
def test_a_plan_outside_of_the_lens_is_refused(
    spacing: Spacing, frames: int, scales: list[float], ends: Ends, calibrated: bool, said: str
) -> None:
    with pytest.raises(CaptureError, match=said):
        plan_run(ends, frames, spacing=spacing, scales=scales, lens=lens() if calibrated else None)


def test_a_ring_that_turns_back_is_no_plan() -> None:
    with pytest.raises(ValidationError, match="should go one way along the ring"):
        Plan(spacing="ring", stops=(Stop(position=0), Stop(position=2), Stop(position=1)))


def test_ends_hold_what_lies_between_them() -> None:
    assert Ends(10, -2).check(-2) == -2
    with pytest.raises(MotorError, match=r"position 10\.1 lies outside of the lens's ends, -2 to 10"):
        Ends(10, -2).check(10.1)


def test_an_estimate_adds_up() -> None:
    plan = plan_run(Ends(0, 80), 5, again=True)
    pace = Pace(speed=10, settle_s=1, shot_s=2, shot_bytes=1000)
    # From 40 to 80, back to 0, to 80 again: 200 units; six photographs of three seconds.
    assert Estimate.of(plan, pace, start=40) == Estimate(20 + 18, 6000)
    assert Estimate.of(plan.model_copy(update={"again": False}), pace, start=0).seconds == 8 + 15
