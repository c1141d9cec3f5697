"""Learning rates: literal numbers, properties that hold for all, and the answer to a validation that stands still."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from anyzoom.train.schedule import (
    Constant,
    Cosine,
    Milestones,
    OneCycle,
    Plateau,
    PlateauState,
    Schedule,
    Trapezoid,
)

SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)


@pytest.mark.parametrize(
    ("schedule", "expected"),  # of 10 steps with a peak of 2
    [
        (Constant(), [2.0] * 10),
        (Milestones(milestones=(3, 8), factor=0.5), [2.0] * 3 + [1.0] * 5 + [0.5] * 2),
        (Trapezoid(warm_up=2, cool_down=0.4), [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5]),
        (Trapezoid(warm_up=0, cool_down=0), [2.0] * 10),
        (Cosine(warm_up=2), [1.0, 2.0] + [1 + math.cos(math.pi * step / 8) for step in range(8)]),
        (Cosine(floor=0.5), [1.5 + 0.5 * math.cos(math.pi * step / 10) for step in range(10)]),
        (Cosine(warm_up=20), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
    ],
)
def test_literal_rates(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule.rate(step, 10, 2.0) for step in range(10)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("steps", [10, 101])
@pytest.mark.parametrize("rise", [0.3, 0.07])
def test_one_cycle_is_that_of_pytorch(steps: int, rise: float) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2.0, total_steps=steps, pct_start=rise)
    expected = []
    for step in range(steps):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < steps - 1:
            theirs.step()
    assert [OneCycle(rise=rise).rate(step, steps, 2.0) for step in range(steps)] == pytest.approx(expected, rel=1e-9)


SCHEDULES = st.one_of(
    st.just(Constant()),
    st.builds(
        Milestones,
        milestones=st.sets(st.integers(1, 1000), min_size=1, max_size=5).map(lambda steps: tuple(sorted(steps))),
        factor=st.floats(0.1, 0.9),
    ),
    st.builds(Cosine, warm_up=st.integers(0, 1000), floor=st.floats(0, 1)),
    st.builds(OneCycle, rise=st.floats(0.01, 0.99), start=st.floats(0.01, 1), floor=st.floats(1e-6, 1)),
    st.builds(Trapezoid, warm_up=st.integers(0, 1000), cool_down=st.floats(0, 1)),
)


@given(SCHEDULES, st.integers(1, 500), st.data())
def test_rates_lie_between_zero_and_the_peak(schedule: Schedule, steps: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < schedule.rate(step, steps, 3e-4) <= 3e-4 * (1 + 1e-12)
    assert schedule.rate(step, steps, 6e-4) == pytest.approx(2 * schedule.rate(step, steps, 3e-4))


@given(SCHEDULES, st.integers(2, 500))
def test_rates_rise_once_at_most(schedule: Schedule, steps: int) -> None:
    rates = [schedule.rate(step, steps, 1.0) for step in range(steps)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == pytest.approx(sorted(rates[: top + 1]))
    assert rates[top:] == pytest.approx(sorted(rates[top:], reverse=True))


@given(SCHEDULES)
def test_the_kind_brings_a_schedule_back(schedule: Schedule) -> None:
    assert SCHEDULE.validate_json(SCHEDULE.dump_json(schedule)) == schedule


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"kind": "milestones", "milestones": ()}, "at least 1 item"),
        ({"kind": "milestones"}, "Field required"),
        ({"kind": "milestones", "milestones": (5, 5)}, "should be steps that rise"),
        ({"kind": "milestones", "milestones": (0,)}, "greater than or equal to 1"),
        ({"kind": "milestones", "milestones": (1,), "factor": 1}, "less than 1"),
        ({"kind": "cosine", "floor": 2}, "less than or equal to 1"),
        ({"kind": "one-cycle", "rise": 1}, "less than 1"),
        ({"kind": "trapezoid", "warmup": 5}, "Extra inputs"),
        ({"kind": "linear"}, "'constant', 'milestones', 'cosine', 'one-cycle', 'trapezoid'"),
    ],
)
def test_impossible_schedules_are_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SCHEDULE.validate_python(choice)


def walked(plateau: Plateau, *values: float) -> list[PlateauState]:
    states = [PlateauState()]
    for value in values:
        states.append(plateau.after(states[-1], value))
    return states[1:]


def test_a_figure_that_stands_still_lowers_the_rate() -> None:
    plateau = Plateau(factor=0.5, patience=2, threshold=0.1, floor=0.2)
    states = walked(plateau, 30.0, 30.05, 30.1, 31.0, 31.0, 30.0, 31.05, 31.0, 32.0)
    assert [state.bad for state in states] == [0, 1, 0, 0, 1, 0, 1, 0, 0]
    assert [state.phase for state in states] == [0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert [state.rate_factor for state in states] == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    assert [state.best for state in states] == [30.0] * 3 + [31.0] * 5 + [32.0]


def test_small_rises_add_up() -> None:
    """What must be beaten stays until it is beaten by more than the threshold."""
    states = walked(Plateau(patience=3, threshold=0.1), 30.0, 30.06, 30.12, 30.18)
    assert [state.best for state in states] == [30.0, 30.0, 30.12, 30.12]
    assert [state.phase for state in states] == [0, 0, 0, 0]


def test_at_the_floor_nothing_more_happens() -> None:
    states = walked(Plateau(factor=0.5, patience=1, floor=0.5), 30.0, 30.0, 30.0, 30.0)
    assert [state.phase for state in states] == [0, 1, 1, 1]
    assert [state.rate_factor for state in states] == [1, 0.5, 0.5, 0.5]
    assert states[-1].bad == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_is_no_rise(value: float) -> None:
    first, second = walked(Plateau(), value, 30.0)
    assert first == PlateauState(bad=1)
    assert second == PlateauState(best=30.0)


@given(st.lists(st.floats(20, 40), max_size=30), st.integers(0, 30))
def test_a_run_goes_on_from_its_saved_state(values: list[float], cut: int) -> None:
    plateau = Plateau(patience=2, threshold=0.5)
    state = PlateauState()
    for number, value in enumerate(values):
        if number == cut:
            state = PlateauState.model_validate(json.loads(json.dumps(state.model_dump())))
        state = plateau.after(state, value)
    assert state == ([PlateauState(), *walked(plateau, *values)])[-1]
    assert state.rate_factor == pytest.approx(max(0.5**state.phase, 1e-3))


def test_states_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PlateauState().phase = 1


@pytest.mark.parametrize("choice", [{"factor": 1}, {"patience": 0}, {"threshold": -1}, {"floor": 0}, {"mode": "min"}])
def test_impossible_plateaus_are_refused(choice: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Plateau.model_validate(choice)
