"""Positions of the wanted scales: as near the simulated lens' own as the specification asks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from anyzoom.calibrate.lens import LensProfile, Role, Shot
from anyzoom.calibrate.solve import solve, verify
from anyzoom.capture.simulate.lens import Drive, SimulatedLens
from anyzoom.errors import CalibrationError
from anyzoom.grid import Size

SIZE = Size(4000, 6000)
SCALES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
NOISE = 1e-4  # of a shot's magnification, relative; what photographs of the target show is a third of that


def a_shot(lens: SimulatedLens, ring: float, role: Role = "curve", noise: float = NOISE, distance: float = 1.0) -> Shot:
    rng = np.random.default_rng([round(ring * 1e6), len(role)])
    return Shot(
        file=f"{role}_{ring:.2f}.jpg",
        ring=ring,
        role=role,
        focal_mm=lens.wide_mm * lens.magnification(ring),
        px_per_mm=distance * 10 * lens.magnification(ring) * (1 + noise * rng.normal()),
        error=noise,
        k1=lens.k1(ring) + 1e-4 * rng.normal(),
        k1_error=1e-4,
        corners=100,
        rmse_px=0.1,
    )


def shots(lens: SimulatedLens, count: int = 13) -> list[Shot]:
    return [a_shot(lens, ring) for ring in np.linspace(0, lens.travel, count)]


def true_errors(lens: SimulatedLens, profile: LensProfile) -> Iterable[float]:
    """Of the scale at each solved position, relative."""
    widest = lens.tele_mm / lens.wide_mm
    return [widest / lens.magnification(wanted.ring) / wanted.scale - 1 for wanted in profile.wanted]


LENSES = [SimulatedLens(), SimulatedLens(wave=0.3), SimulatedLens(wave=0.25, travel=290.5, tele_mm=150)]


@pytest.mark.parametrize("lens", LENSES, ids=["mild", "wavy", "long"])
def test_thirteen_shots_and_one_verification(lens: SimulatedLens) -> None:
    """Within 0.2 % from the curve, within 0.1 % after shots at what it said, wherever the tripod then stands."""
    profile = solve(shots(lens), SCALES, SIZE)
    assert [wanted.scale for wanted in profile.wanted] == list(SCALES)
    errors = np.abs(list(true_errors(lens, profile)))
    assert max(errors) < 2e-3
    assert np.all(errors < [3 * wanted.error for wanted in profile.wanted])
    checks = [a_shot(lens, ring, distance=0.97) for ring in {lens.travel, *(wanted.ring for wanted in profile.wanted)}]
    profile = verify(profile, checks)
    assert max(np.abs(list(true_errors(lens, profile)))) < 1e-3


def test_the_ring_may_run_backwards() -> None:
    lens = SimulatedLens()
    turned = [shot.model_copy(update={"ring": 7 - shot.ring}) for shot in shots(lens)]
    one, other = solve(turned, SCALES, SIZE), solve(shots(lens), SCALES, SIZE)
    for wanted, same in zip(one.wanted, other.wanted, strict=True):
        assert wanted.ring == pytest.approx(7 - same.ring, abs=1e-6)


def test_positions_are_corrected_until_they_hold() -> None:
    """From five shots of a wavy lens, far off at first: one correction by the curve's slope, then secants."""
    lens = SimulatedLens(wave=0.5)
    profile = solve(shots(lens, 6), [1.5, 2.2, 3], SIZE)
    assert max(np.abs(list(true_errors(lens, profile)))) > 2e-3
    for _ in range(3):
        profile = verify(profile, [a_shot(lens, wanted.ring, noise=1e-5) for wanted in profile.wanted])
    assert all(wanted.verified for wanted in profile.wanted)
    assert max(np.abs(list(true_errors(lens, profile)))) < 1e-3
    for wanted in profile.wanted:
        assert wanted.error <= 1e-3
        assert wanted.ring in {tried.ring for tried in wanted.tries}


def test_two_tries_tell_the_slope_better_than_the_curve() -> None:
    """Where the lens really is 1.5 times as steep, the second correction knows."""
    lens = SimulatedLens()
    profile = solve(shots(lens), [2.0], SIZE)
    ring = profile.wanted[0].ring
    slope = 1.5 * profile.curve.slope(ring)

    def there(position: float) -> Shot:
        scale = 2 * np.exp(slope * (position - ring - 1))  # the wanted scale lies 1 further than the curve says
        return a_shot(lens, position, noise=0).model_copy(update={"px_per_mm": profile.longest.px_per_mm / scale})

    profile = verify(profile, [there(ring)])
    assert profile.wanted[0].ring == pytest.approx(ring + 1.5, abs=0.1)  # 1.5 too much, by the curve's slope
    profile = verify(profile, [there(profile.wanted[0].ring)])
    assert profile.wanted[0].ring == pytest.approx(ring + 1, abs=1e-6)


def test_a_noisy_pair_of_tries_is_no_secant() -> None:
    """Two tries at nearly one position, their order turned by noise: the curve's slope is used."""
    lens = SimulatedLens()
    profile = solve(shots(lens), [2.0], SIZE)
    ring = profile.wanted[0].ring
    near = [a_shot(lens, ring + 1.0, noise=0), a_shot(lens, ring + 1.001, noise=0)]
    near[1] = near[1].model_copy(update={"px_per_mm": near[0].px_per_mm * 0.9999})
    assert verify(profile, near).wanted[0].ring == pytest.approx(ring, abs=0.1)


def test_shots_that_do_not_grow_are_named() -> None:
    lens = SimulatedLens()
    taken = shots(lens)
    taken[4], taken[5] = (
        taken[4].model_copy(update={"px_per_mm": taken[5].px_per_mm}),
        taken[5].model_copy(update={"px_per_mm": taken[4].px_per_mm}),
    )
    with pytest.raises(CalibrationError) as refused:
        solve(taken, SCALES, SIZE)
    told = str(refused.value)
    assert "curve_33.33.jpg at 33.3333 (x" in told
    assert "after curve_26.67.jpg at 26.6667 (x" in told
    assert told.count(".jpg") == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda taken: taken[:4], "4 shots at different positions of the ring are too few. Take 5 or more"),
        (lambda taken: [*taken, a_shot(SimulatedLens(), 80)], "curve_80.00.jpg and curve_80.00.jpg have the same ring"),
        (lambda taken: [s.model_copy(update={"px_per_mm": 7.0}) for s in taken], "the magnification does not grow"),
    ],
)
def test_refusals(change: object, expected: str) -> None:
    assert callable(change)
    with pytest.raises(CalibrationError, match=expected):
        solve(change(shots(SimulatedLens())), SCALES, SIZE)


def test_scales_out_of_reach_are_listed() -> None:
    profile = solve(shots(SimulatedLens()), [0.5, 2, 5, 4.5], SIZE)
    assert [wanted.scale for wanted in profile.wanted] == [2]
    assert profile.unreachable == (0.5, 4.5, 5.0)
    with pytest.raises(CalibrationError, match=r"none of the wanted scales lies between 1 and 4\.0"):
        solve(shots(SimulatedLens()), [5, 6], SIZE)


def test_backlash_and_repeatability() -> None:
    """The belt has 0.7 of play; returns to one position spread by 0.06 %."""
    lens, drive = SimulatedLens(), Drive(80, backlash=0.7)
    drive.move(80)
    reverse = []
    for position in (60.0, 40.0, 20.0):
        there = a_shot(lens, drive.move(position), "reverse")
        reverse.append(there.model_copy(update={"ring": position}))
    returns = [
        a_shot(lens, 40.0, "return", noise=0).model_copy(update={"px_per_mm": 10 * lens.magnification(40) * (1 + off)})
        for off in (6e-4, -6e-4, 6e-4, -6e-4, 0)
    ]
    profile = solve([*shots(lens), *reverse, *returns], SCALES, SIZE)
    assert profile.backlash == pytest.approx(-0.7, abs=0.03)
    assert profile.repeatability == pytest.approx(6e-4 * np.sqrt(4 / 5), rel=0.05)
    assert profile.tolerance == pytest.approx(2 * 6e-4 * np.sqrt(4 / 5), rel=0.05)
    assert all(wanted.error >= profile.tolerance / 2 for wanted in profile.wanted)
    assert solve(shots(lens), SCALES, SIZE).backlash is None
    assert solve(shots(lens), SCALES, SIZE).tolerance == 1e-3


def test_a_verification_of_something_else_is_refused() -> None:
    lens = SimulatedLens()
    profile = solve(shots(lens), [2, 4], SIZE)
    with pytest.raises(CalibrationError, match=r"curve_60\.00\.jpg at position 60 shows x1\.\d+, which is none of the"):
        verify(profile, [a_shot(lens, 60)])
    assert verify(profile, [a_shot(lens, 80)]).wanted == profile.wanted  # only the longest focal length


def test_focal_lengths_are_those_of_exif() -> None:
    lens = SimulatedLens()
    for wanted in solve(shots(lens), [1.0, 2.0], SIZE).wanted:
        assert wanted.focal_mm == pytest.approx(140 / wanted.scale, rel=0.02)
    blind = [shot.model_copy(update={"focal_mm": None}) for shot in shots(lens)]
    assert solve(blind, [2.0], SIZE).wanted[0].focal_mm is None
