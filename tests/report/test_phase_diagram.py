"""The hull that is drawn is the hull."""

from xml.etree import ElementTree

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from nucleate.report.phase_diagram import (
    Point,
    distance_class,
    fractions,
    hull_plot,
    lower_hull,
    ordered_system,
    run_hull,
)
from nucleate.report.run_data import read_run


def random_phases(system: tuple[str, ...], rng: np.random.Generator, n: int) -> list[tuple[str, float]]:
    phases = [(symbol, 0.0) for symbol in system]
    for _ in range(n):
        counts = rng.integers(0, 5, len(system))
        if (counts > 0).sum() > 1:
            label = "".join(s + str(c) for s, c in zip(system, counts, strict=True) if c)
            phases.append((label, float(rng.normal(-0.8, 0.6))))
    return phases


@pytest.mark.parametrize("system", [("Li", "O"), ("Li", "Mn", "O")])
@pytest.mark.parametrize("seed", range(5))
def test_vertices_agree_with_pymatgen(system, seed):
    phases = random_phases(system, np.random.default_rng(seed), 25)
    points = np.array([[*fractions(label, system)[1:], energy] for label, energy in phases])
    drawn = {i for facet in lower_hull(points) for i in facet}
    entries = [PDEntry(Composition(label), energy * Composition(label).num_atoms, name=str(i))
               for i, (label, energy) in enumerate(phases)]  # fmt: skip
    stable = {int(entry.name) for entry in PhaseDiagram(entries).stable_entries}
    assert drawn == stable


def test_terminals_alone_make_one_simplex():
    assert lower_hull(np.array([[0.0, 0.0], [1.0, 0.0]])) == [(0, 1)]
    assert lower_hull(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])) == [(0, 1, 2)]
    assert lower_hull(np.array([[0.0, 0.0]])) == []


def test_fractions():
    assert fractions("Li2O", ("Li", "O")) == pytest.approx((2 / 3, 1 / 3))
    assert fractions("LiCoO2", ("Li", "O")) is None
    assert fractions("<script>", ("Li", "O")) is None


def test_distance_classes_meet_at_the_threshold():
    found = [distance_class(x, 0.1) for x in (-0.1, 0.0, 0.05, 0.1, 0.11, 0.3, float("nan"))]
    assert found == ["d0", "d0", "d1", "d2", "d3", "d4", "dx"]


@pytest.mark.parametrize("system", [("Li", "O"), ("Li", "Mn", "O"), ("Li", "Mn", "Co", "O")])
def test_figures_are_well_formed_and_name_what_is_missing(system):
    phases = [Point("Li", fractions("Li", system), 0.0), Point("Li2O", fractions("Li2O", system), -2.0)]
    candidates = [
        Point("LiO", fractions("LiO", system), -1.0, 0.2, "c<1>"),
        Point("LiO2", fractions("LiO2", system), -0.5, float("nan"), "c2"),
    ]
    plot = hull_plot(system, phases, candidates, 0.1)
    ElementTree.fromstring(plot.svg)
    assert "No reference phase for" in plot.notes[0]
    assert "c&lt;1&gt;" in plot.svg


def test_metals_come_before_anions():
    assert ordered_system({"O", "Mn", "Li"}) == ("Li", "Mn", "O")


@pytest.mark.parametrize("system", [("Li", "O"), ("Li", "Mn", "O")])
def test_what_is_found_on_the_hull_has_its_name_once(system):
    phases = [Point(symbol, fractions(symbol, system), 0.0) for symbol in system]
    candidates = [
        Point("Li2O2", fractions("Li2O2", system), -1.0, -1.0, "c0"),
        Point("LiO", fractions("LiO", system), -1.1, -1.1, "c1"),
        Point("LiO2", fractions("LiO2", system), 0.2, 0.2, "c2"),
    ]
    svg = hull_plot(system, phases, candidates, 0.1).svg
    assert svg.count("var(--accent)") == 1
    assert ">LiO</text>" in svg


def test_a_run_shows_its_system_and_opens_its_candidates(make_run):
    plot = run_hull(read_run(make_run()))
    assert plot.title == "Mg–O: 4 known phases, 3 candidates."
    assert 'data-open="c000000"' in plot.svg
    assert [mark for _, mark, _ in plot.keys].count("diamond") == 5


@pytest.mark.parametrize(("system", "n", "drawn"), [(("Li", "O"), 400, 300), (("Li", "Mn", "O"), 10, 1)])
def test_of_many_candidates_those_that_count_are_drawn(system, n, drawn):
    phases = [Point(symbol, fractions(symbol, system), 0.0) for symbol in system]
    candidates = [Point("LiO", fractions("LiO", system), -1.0 + 0.01 * i, 0.01 * i, f"c{i}") for i in range(n)]
    plot = hull_plot(system, phases, candidates, 0.1)
    assert plot.svg.count("data-open=") == drawn
    assert f"{drawn} of {n}" in plot.notes[0]
    assert 'data-open="c0"' in plot.svg


def test_a_run_without_phases_shows_distances(make_run):
    plot = run_hull(read_run(make_run(phases=None)))
    assert "nearest" in plot.title
    assert plot.svg.count("data-open=") == 3


def test_nothing_known_is_no_hull(make_run, rows):
    assert run_hull(read_run(make_run([rows.failed(0, "error", "")], phases=None))) is None
