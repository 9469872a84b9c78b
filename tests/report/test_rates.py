"""Headline figures and the funnel."""

import pytest

from nucleate.report.rates import funnel, measured, relaxed_rate
from nucleate.report.run_data import read_run


def test_funnel_counts_what_passes_all_steps_so_far(make_run, rows):
    content = [
        rows.rocksalt(0), rows.rocksalt(1, is_novel=False), rows.rocksalt(2, is_unique=False),
        rows.rocksalt(30, is_stable=False), rows.failed(4, "unconverged", ""), rows.rocksalt(5, is_valid=False),
        rows.failed(6, "no_reference", "no reference for Pm", energy_per_atom=-5.0),
        rows.rocksalt(7, meets_request=False),
    ]  # fmt: skip
    steps = funnel(read_run(make_run(content)))
    assert [(step.name, step.count) for step in steps] == [
        ("generated", 8), ("meet the request", 7), ("valid", 6), ("relaxed", 5), ("placed on the hull", 4),
        ("stable", 3), ("unique", 2), ("novel", 1),
    ]  # fmt: skip


def test_sun_is_the_last_step_where_all_are_valid(make_run, rows):
    run = read_run(make_run([rows.rocksalt(0), rows.rocksalt(1), rows.rocksalt(2, is_novel=None)]))
    assert measured(run).rate("S.U.N.").count == funnel(run)[-1].count == 2


def test_a_test_that_was_never_made_is_no_step(make_run, rows):
    run = read_run(make_run([rows.rocksalt(i, is_novel=None, meets_request=None) for i in range(3)]))
    assert [step.name for step in funnel(run)][-1] == "unique"


def test_relaxed_counts_what_no_reference_could_place(make_run, rows):
    run = read_run(make_run([rows.rocksalt(0), rows.failed(1, "no_reference", ""), rows.failed(2, "error", "")]))
    assert (relaxed_rate(run).count, relaxed_rate(run).total) == (2, 3)


@pytest.mark.parametrize(
    ("changes", "step", "advice"),
    [
        ({"meets_request": False}, "meet the request", "--allow-subsystems"),
        ({"is_valid": False}, "valid", "n_atoms"),
        ({"status": "time_limit"}, "relaxed", "more time"),
        ({"status": "not_finite"}, "relaxed", "Failures"),
        ({"energy_above_hull": None, "status": "no_reference"}, "placed on the hull", "data reference"),
        ({"is_stable": False, "energy_above_hull": 0.7}, "stable", "0.700 eV/atom"),
        ({"is_unique": False}, "unique", "another seed"),
        ({"is_novel": False}, "novel", "rediscovery"),
    ],
)
def test_advice_fits_the_step_where_all_were_lost(make_run, rows, changes, step, advice):
    steps = funnel(read_run(make_run([rows.rocksalt(i, **changes) for i in range(3)])))
    first = next(found for found in steps if found.count == 0)
    assert first.name == step
    assert advice in first.advice


def test_novelty_that_was_not_measured_is_said_and_not_zero(make_run, rows):
    from nucleate.report.page import build_report

    page = build_report(make_run([rows.rocksalt(i, is_novel=None) for i in range(3)])).read_text()
    assert "Novelty is unknown for every crystal" in page
    assert page.count("not measured in this run") == 2
