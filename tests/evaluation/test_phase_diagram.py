"""The combined hull against pymatgen's phase diagram, and who is credited with what."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from nucleate.evaluation.phase_diagram import SAME_ENERGY, combined_hull

SYSTEM = ("Li", "Mn", "O")
KNOWN = (["Li", "Mn", "O2", "Li2O", "MnO2", "Li4O2"], [0.0, 0.0, 0.0, -2.0, -1.8, -1.9])


def found(*rows: tuple[str, str, float, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "formula", "formation_energy", "is_novel"])


def row(diagram, formula: str) -> pd.Series:
    return diagram.phases.set_index("formula").loc[formula]


@given(integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_phases_are_those_of_pymatgen(seed: int) -> None:
    generator = np.random.default_rng(seed)
    formulas = [f"Li{a}Mn{b}O{c}" for a, b, c in generator.integers(1, 4, (12, 3))]
    energies = generator.uniform(-3, 0.2, 12).round(6)
    table = found(*((str(i), f, e, True) for i, (f, e) in enumerate(zip(formulas, energies, strict=True))))
    diagram = combined_hull(SYSTEM, KNOWN, {"ours": table})
    entries = []
    for formula, energy in [*zip(*KNOWN, strict=True), *zip(formulas, energies, strict=True)]:
        composition = Composition(formula)
        entries.append(PDEntry(composition, energy * composition.num_atoms))
    stable = {entry.composition.reduced_composition for entry in PhaseDiagram(entries).stable_entries}
    assert {Composition(formula).reduced_composition for formula in diagram.phases["formula"]} == stable


def test_whoever_comes_near_the_lowest_has_found_it() -> None:
    near, far = -2.5 + 0.9 * SAME_ENERGY, -2.5 + 1.1 * SAME_ENERGY
    diagram = combined_hull(
        SYSTEM,
        KNOWN,
        {
            "a": found(("0", "LiMnO2", -2.5, True)),
            "b": found(("0", "Li2Mn2O4", near, True)),
            "c": found(("0", "LiMnO2", far, True), ("1", "LiMnO2", float("nan"), True)),
        },
    )
    phase = row(diagram, "LiMnO2")
    assert phase["found_by"] == "a, b"
    assert phase["ids"] == "a:0, b:0"
    assert phase["is_new"]
    assert not phase["formula_known"]
    assert phase["gain"] == pytest.approx(2.5 - (1.5 * 2.0 + 2.25 * 1.8) / 4)  # 1/2 Li2O + 3/4 MnO2 + 1/4 Mn
    assert [diagram.found(name) for name in ("a", "b", "c")] == [1, 1, 0]


def test_a_known_phase_is_not_new() -> None:
    diagram = combined_hull(SYSTEM, KNOWN, {"a": found(("0", "Li2O", -2.0005, True), ("1", "MnO2", -2.4, False))})
    assert row(diagram, "Li2O")["found_by"] == "reference, a"
    assert not row(diagram, "Li2O")["is_new"]
    assert not row(diagram, "MnO2")["is_new"]  # lower than the reference's, but of a known structure
    assert row(diagram, "MnO2")["gain"] == pytest.approx(0.6)
    assert diagram.found("a") == 2
    assert diagram.found("a", new=True) == 0


def test_other_elements_are_left_out() -> None:
    diagram = combined_hull(("Li", "O"), KNOWN, {"a": found(("0", "NaO", -5.0, True))})
    assert sorted(diagram.phases["formula"]) == ["Li", "Li2O", "O2"]


def test_nothing_is_on_a_hull_whose_element_is_missing() -> None:
    known = (["Li", "Li2O"], [0.0, -2.0])
    diagram = combined_hull(("Li", "O"), known, {"a": found(("0", "Li2O2", 3.0, True))})
    assert diagram.phases["formula"].tolist() == ["Li"]
