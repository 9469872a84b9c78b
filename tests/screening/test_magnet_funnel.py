"""The funnel of a campaign for magnets: counts of the papers, and where it ends."""

from __future__ import annotations

import pandas as pd
import pytest

from nucleate.screening.filters import PASSES
from nucleate.screening.funnel import apply_funnel, stopped_by
from nucleate.screening.magnet_funnel import PUBLISHED, before_relaxation, dead_end, for_known, magnet_funnel


def table() -> pd.DataFrame:
    """Four crystals: a finalist, a cubic one, one of too little magnetisation, one of a forbidden element."""
    good = {
        "status": "ok", "elements_allowed": True, "formula_known": False, "predicted_formation_energy": -0.5,
        "predicted_saturation_magnetization": 1.2, "min_distance": 2.1, "space_group": 139, "energy_per_atom": -7.0,
        "formation_energy": -0.4, "saturation_magnetization": 1.1, "energy_above_hull": 0.08, "is_unique": True,
        "relaxed_space_group": 139,
    }  # fmt: skip
    others = [{"relaxed_space_group": 221}, {"predicted_saturation_magnetization": 0.834}, {"elements_allowed": False}]
    return pd.DataFrame([good, *({**good, **other} for other in others)])


def test_steps_in_their_order() -> None:
    result = apply_funnel(magnet_funnel(), table())
    passed = [step.in_sequence.passed for step in result.steps]
    assert passed == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 1]
    hull = result.steps[9]
    assert [level.in_sequence for level in hull.levels] == [2]
    assert stopped_by(magnet_funnel(), table()) == [None, "uniaxial", "predicted_magnetization", "elements"]


def test_without_a_network_its_filters_are_left_out() -> None:
    names = [rule.name for rule in magnet_funnel(()).filters]
    assert "predicted_energy" not in names
    assert [rule.name for rule in before_relaxation(magnet_funnel(())).filters] == names[:4]
    assert not {"new_composition", "unique"} & {rule.name for rule in for_known(magnet_funnel()).filters}


def test_the_papers_counts_are_their_own_rates() -> None:
    for hunt in PUBLISHED:
        for step in hunt.steps.values():
            assert step.entered is None or step.passed <= step.entered <= hunt.generated
        assert 100 * hunt.steps["relaxed"].passed / hunt.steps["relaxed"].entered == pytest.approx(
            hunt.validity, abs=0.1
        )
        tried = hunt.steps["relaxed"].entered
        assert 100 * hunt.steps["magnetization"].passed / tried == pytest.approx(hunt.success, abs=0.1)
    names = {rule.name for rule in magnet_funnel().filters}
    assert all(set(hunt.steps) <= names for hunt in PUBLISHED)


@pytest.mark.parametrize(
    ("column", "values", "step", "threshold"),
    [
        ("predicted_saturation_magnetization", [0.834, 0.2, 0.1, 0.3], "predicted_magnetization", "0.83"),
        ("formation_energy", [0.111, 0.4, 0.3, 0.2], "formation_energy", "0.12"),
        ("space_group", [15, 1, 2, 1], "space_group", "14"),
        ("relaxed_space_group", [221, 225, 229, 1], "uniaxial", "75..221"),
        ("energy_above_hull", [0.4051, 0.9, 0.8, 0.7], "hull", "0.41"),
    ],
)
def test_the_advice_of_a_dead_end_lets_one_through(column, values, step, threshold) -> None:
    rows = table().assign(**{column: values})
    end = dead_end(apply_funnel(magnet_funnel(), rows), rows)
    assert (end.step, end.threshold) == (step, f"{step}={threshold}")
    loosened = magnet_funnel().with_thresholds([end.threshold])
    rule = next(rule for rule in loosened.filters if rule.name == step)
    assert (rule.verdicts(rows) == PASSES).sum() >= 1
    assert apply_funnel(loosened, rows).survivors >= 1


def test_a_dead_end_without_a_threshold_says_what_helps() -> None:
    rows = table().assign(formula_known=True)
    end = dead_end(apply_funnel(magnet_funnel(), rows), rows)
    assert (end.step, end.entered, end.threshold) == ("new_composition", 3, "")
    assert "generate more" in end.advice
    rows = table().assign(min_distance=float("nan"))
    assert dead_end(apply_funnel(magnet_funnel(), rows), rows).threshold == ""
    assert dead_end(apply_funnel(magnet_funnel(), table()), table()) is None
