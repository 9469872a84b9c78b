"""A reference on one scale: elements are zero, compounds known both ways agree, and tables stand beside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.data.one_scale import RELAXED, TABLE, build_one_scale, lowest_elements, missing_elements
from nucleate.data.reference import Reference, reference_folder

ELEMENTS = {3: -1.9, 8: -4.9}
SHIFT = 0.12
"""By how much the potential misplaces every oxide of the table, in eV/atom for equal parts."""


def rows(*entries):
    """Outcomes of a survey: id, atomic numbers, energy in eV/atom."""
    return pd.DataFrame(
        {
            "id": [name for name, _, _ in entries],
            "status": "ok",
            "numbers": [np.array(numbers) for _, numbers, _ in entries],
            "frac": [np.linspace(0, 0.9, 3 * len(numbers)) for _, numbers, _ in entries],
            "lattice": [(4.0 * np.eye(3)).ravel() for _ in entries],
            "energy_per_atom": [energy for _, _, energy in entries],
            "source": "train",
        }
    )


def energy(numbers, formation):
    return formation + sum(ELEMENTS[z] for z in numbers) / len(numbers)


@pytest.fixture(scope="module")
def union():
    oxides = {f"mp-{i}": (numbers, -1.0 - 0.05 * i) for i, numbers in enumerate([[3, 8], [3, 3, 8], [3, 8, 8]] * 8)}
    entries = [(name, numbers, energy(numbers, f)) for name, (numbers, f) in oxides.items()]
    entries += [("mp-li", [3], -1.9), ("mp-li-high", [3, 3], -1.85), ("mp-o", [8, 8], -4.9)]
    correction = {name: 2 * SHIFT * 2 * (x := z.count(3) / len(z)) * (1 - x) for name, (z, _) in oxides.items()}
    table = pd.DataFrame(
        {
            "material_id": [*oxides, "mp-table", "mp-xe", "mp-same"],
            "formula": [*("LiO", "Li2O", "LiO2") * 8, "Li5O", "XeO", "Li3O"],
            "formation_energy_per_atom": [
                *(f + correction[name] for name, (_, f) in oxides.items()),
                *(-1.3, -1.0, -1.7),
            ],
        }
    )
    phases = pd.DataFrame({"id": ["sweep-1"], "formula": ["Li3O"], "formation_energy": [-1.8], "source": ["sweep"]})
    base = Reference(
        "bundled", {3: -1.9, 8: -4.9}, phases, Crystals.from_lists([], [], []), (), {"potential": "CHGNet"}
    )
    return build_one_scale(base, rows(*entries), table, list(oxides)), oxides, correction


def test_every_element_is_at_zero(union):
    reference, _, _ = union
    assert missing_elements(reference) == ()
    lithium = reference.phases[reference.phases["formula"] == "Li"].set_index("id")["formation_energy"]
    assert lithium["mp-li"] == 0.0
    assert lithium["mp-li-high"] == pytest.approx(0.05)
    assert reference.hull.distance({3: 1}, 0.0).energy_above_hull == 0.0


def test_what_both_know_agrees_after_the_correction(union):
    reference, oxides, correction = union
    found = reference.phases.set_index("id")
    shown = [name for name in oxides if name in found.index]
    assert shown
    for name in shown:
        wanted = oxides[name][1] + correction[name]
        assert found.loc[name, "formation_energy"] == pytest.approx(wanted, abs=0.01)
        assert found.loc[name, "source"] == RELAXED
    assert reference.record["correction_fit"]["held_out_mae"] < 0.01


def test_candidates_and_phases_are_on_the_same_scale(union):
    reference, oxides, _ = union
    name = next(name for name in oxides if name in set(reference.phases["id"]))
    numbers, formation = oxides[name]
    count = {z: numbers.count(z) for z in set(numbers)}
    again = reference.formation_energy(count, energy(numbers, formation))
    phases = reference.phases.set_index("id")["formation_energy"]
    assert again == pytest.approx(phases[name], abs=1e-9)


def test_a_table_stands_beside_and_says_so(union):
    reference, _, _ = union
    found = reference.phases.set_index("id")
    assert found.loc["mp-table", "source"] == TABLE
    assert found.loc["mp-table", "formation_energy"] == -1.3
    assert "mp-xe" not in found.index  # the potential knows no phase of xenon here
    assert "mp-same" not in found.index  # the sweep's Li3O, relaxed, is that phase
    assert "sweep-1" in found.index


def test_it_is_kept_with_its_corrections(union, tmp_path):
    reference, _, _ = union
    reference.save(tmp_path / "one")
    again = Reference.load(tmp_path / "one")
    assert again.element_corrections == pytest.approx(reference.element_corrections, abs=1e-6)
    assert again.formation_energy({3: 1, 8: 1}, -4.4) == pytest.approx(
        reference.formation_energy({3: 1, 8: 1}, -4.4), abs=1e-5
    )


def test_the_lowest_phase_of_an_element_counts():
    assert lowest_elements([{3: 1}, {3: 2}, {8: 2}, {3: 1, 8: 1}], np.array([-1.8, -1.9, -4.9, -5.0])) == ELEMENTS


@pytest.mark.skipif(not reference_folder("mp").is_dir(), reason="the reference is not built here")
def test_the_shipped_one_is_on_one_scale():
    reference = Reference.load("mp")
    assert missing_elements(reference) == ()
    assert len(reference.phases) > 38_000
    assert reference.record["correction_fit"]["held_out_median"] <= 0.016
    assert bool(torch.isfinite(reference.structures.lattice).all())
