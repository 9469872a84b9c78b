"""The hull that is drawn is the hull."""

from xml.etree import ElementTree

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from nucleate.report.hull_figure import Point, distance_class, fractions, hull_figure, lower_hull, ordered_system


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
    markup = hull_figure(system, phases, candidates, 0.1)
    ElementTree.fromstring(f"<div>{markup}</div>")
    assert "No reference phase for" in markup
    assert "c&lt;1&gt;" in markup


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
    markup = hull_figure(system, phases, candidates, 0.1)
    assert markup.count("phase new") == 1
