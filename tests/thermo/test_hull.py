"""Distances from the hull equal pymatgen's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.errors import UserError
from nucleate.thermo.hull import Hull, HullDistance

LI, O, FE = 3, 8, 26


def random_phases(elements: list[int], count: int, seed: int) -> tuple[list[dict[int, int]], list[float]]:
    generator = np.random.default_rng(seed)
    formulas = [{z: 1} for z in elements]
    energies = [0.0] * len(elements)
    while len(formulas) < count:
        counts = generator.integers(0, 4, len(elements))
        if counts.sum():
            formulas.append({z: int(n) for z, n in zip(elements, counts, strict=True) if n})
            energies.append(float(generator.normal(-0.5, 0.7)))
    return formulas, energies


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_distances_equal_those_of_pymatgen(size: int) -> None:
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    elements = [3, 8, 15, 26, 29][:size]
    formulas, energies = random_phases(elements, 12 * size, seed=size)
    entries = [
        PDEntry(Composition({SYMBOLS[z]: n for z, n in formula.items()}), energy * sum(formula.values()))
        for formula, energy in zip(formulas, energies, strict=True)
    ]
    diagram, hull = PhaseDiagram(entries), Hull(formulas, energies)
    for formula, energy, entry in zip(formulas, energies, entries, strict=True):
        if len(formula) < size:
            continue
        found = hull.distance(formula, energy)
        assert found.energy_above_hull == pytest.approx(diagram.get_e_above_hull(entry), abs=1e-7)
        compounds = {entry.composition.reduced_composition for entry in entries if len(entry.composition) > 1}
        assert found.n_competing == len(compounds)
        assert found.missing == ()


def test_a_stable_phase_is_at_zero_and_a_better_one_below() -> None:
    hull = Hull([{LI: 1}, {O: 1}, {LI: 2, O: 1}], [0.0, 0.0, -2.0])
    assert hull.distance({LI: 4, O: 2}, -2.0) == HullDistance(0.0, 1)
    assert hull.distance({LI: 2, O: 1}, -2.3).energy_above_hull == pytest.approx(-0.3)
    assert hull.distance({LI: 1, O: 1}, -1.0).energy_above_hull == pytest.approx(0.5)
    assert hull.distance({O: 3}, 0.1).energy_above_hull == pytest.approx(0.1)


def test_polymorphs_and_subsystems_compete_and_others_do_not() -> None:
    hull = Hull([{LI: 1}, {O: 1}, {O: 2}, {FE: 1}, {LI: 2, O: 1}, {FE: 1, O: 1}], [0.0, 0.1, 0.0, 0.0, -2.0, -1.0])
    assert hull.distance({LI: 1, O: 1}, 0.0).n_competing == 1
    assert hull.distance({LI: 1, FE: 1, O: 2}, 0.0).n_competing == 2
    assert hull.distance({O: 1}, 0.1).energy_above_hull == pytest.approx(0.1)


def test_missing_terminals_are_named_and_the_distance_unknown() -> None:
    hull = Hull([{LI: 1}, {LI: 2, O: 1}], [0.0, -2.0])
    found = hull.distance({LI: 1, O: 1, FE: 1}, -1.0)
    assert math.isnan(found.energy_above_hull)
    assert found.missing == ("O", "Fe")
    assert found.n_competing == 1
    assert hull.distance({FE: 2}, 0.0).n_competing == 0


def test_a_shift_of_the_element_energies_changes_no_distance() -> None:
    elements = [3, 8, 26]
    formulas, energies = random_phases(elements, 40, seed=9)
    shift = dict(zip(elements, (0.3, -1.2, 0.7), strict=True))

    def shifted(formula: dict[int, int], energy: float) -> float:
        return energy + sum(n * shift[z] for z, n in formula.items()) / sum(formula.values())

    hull = Hull(formulas, energies)
    moved = Hull(formulas, [shifted(f, e) for f, e in zip(formulas, energies, strict=True)])
    query = {3: 2, 8: 3, 26: 1}
    wanted = hull.distance(query, -0.2).energy_above_hull
    assert moved.distance(query, shifted(query, -0.2)).energy_above_hull == pytest.approx(wanted, abs=1e-8)


def test_bad_phases_are_refused() -> None:
    with pytest.raises(UserError, match="phase 1"):
        Hull([{LI: 1}, {O: 1}], [0.0, float("nan")])
    with pytest.raises(UserError, match="1 energies"):
        Hull([{LI: 1}, {O: 1}], [0.0])
    with pytest.raises(UserError, match="positive"):
        Hull([{}], [0.0])


@pytest.mark.slow
def test_the_dft_hull_is_that_of_the_materials_project(shared_data: Path) -> None:
    import pandas as pd

    table = pd.read_csv(shared_data / "mp" / "formation_energies.csv.gz")
    hull = Hull([parse_formula(f) for f in table.formula], table.formation_energy_per_atom.to_numpy())
    rows = pd.read_csv(shared_data / "mp" / "val.csv.gz").head(300)
    found = [
        hull.distance(parse_formula(f), e).energy_above_hull
        for f, e in zip(rows.formula, rows.formation_energy_per_atom, strict=True)
    ]
    assert np.nanmean(np.abs(np.array(found) - rows.e_above_hull)) < 0.01
