"""The self-check: it passes where all is well, and shows a blind potential and a foreign scale."""

import pandas as pd
import pytest
import torch

from nucleate.campaign.self_check import Check, on_hull, one_scale, self_check, shuffled
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.intervals import Rate
from nucleate.settings import ScreenSettings

CUBE = torch.eye(3) * 3.0
TWO = [[0.0] * 3, [0.5] * 3]


@pytest.fixture(scope="module")
def binaries() -> Reference:
    """Caesium chloride structures of some metals; CuAu and NiAl on the hull, CuPd above it, PdAl without energy."""
    pairs = {"CuAu": (29, 79), "NiAl": (28, 13), "CuPd": (29, 46), "PdAl": (46, 13)}
    phases = pd.DataFrame(
        {
            "id": ["Cu", "Au", "Ni", "Al", "Pd", "CuAu", "NiAl", "CuPd"],
            "formula": ["Cu", "Au", "Ni", "Al", "Pd", "CuAu", "NiAl", "CuPd"],
            "formation_energy": [0.0] * 5 + [-0.05, -0.6, 0.02],
            "source": "test",
        }
    )
    structures = Crystals.from_lists([list(z) for z in pairs.values()], [TWO] * 4, [CUBE] * 4)
    return Reference("binaries", {29: 0.0, 79: 0.0, 28: 0.0, 13: 0.0, 46: 0.0}, phases, structures, tuple(pairs))


def test_only_corners_of_the_hull_are_taken(binaries: Reference) -> None:
    found = on_hull(binaries, 10)
    assert {tuple(row) for row in found.numbers.tolist()} == {(29, 79), (28, 13)}
    assert len(on_hull(binaries, 1)) == 1
    none = Reference("none", binaries.element_energies, binaries.phases)
    with pytest.raises(UserError, match="no known structure on its hull"):
        on_hull(none, 4)


def test_one_scale_asks_for_elements_at_zero_and_textbook_compounds(binaries: Reference) -> None:
    elements, compounds = one_scale(binaries)
    assert elements.passed
    assert (compounds.rate.count, compounds.rate.total) == (2, 2)  # CuAu and NiAl; the others are no textbook's
    phases = binaries.phases.assign(formation_energy=binaries.phases["formation_energy"].replace({-0.6: 0.05}))
    phases.loc[phases["id"] == "Au", "formation_energy"] = 0.076
    elements, compounds = one_scale(Reference("mixed", binaries.element_energies, phases, binaries.structures))
    assert (elements.rate.count, elements.rate.total, elements.passed) == (4, 5, False)
    assert not compounds.passed


def test_shuffled_crystals_take_species_from_one_and_sites_from_another(binaries: Reference) -> None:
    found = shuffled(binaries, 10)
    known = {tuple(sorted(row)) for row in binaries.structures.numbers.tolist()}
    assert len(found) == 2
    assert {tuple(sorted(row)) for row in found.numbers.tolist()} <= known
    assert torch.equal(found.numbers, shuffled(binaries, 10).numbers)


def test_an_expectation_of_nothing_fails() -> None:
    assert not Check(Rate("x", "all", 0, 0), 0.0, 0.5).passed
    assert Check(Rate("x", "all", 1, 4), 0.0, 0.25).passed
    assert not Check(Rate("x", "all", 2, 4), 0.0, 0.25).passed
    assert Check(Rate("x", "all", 0, 9), 0.0, 0.0).expected == "exactly 0%"
    assert "FAILED" in str(Check(Rate("x", "all", 1, 9), 0.0, 0.0))


@pytest.mark.slow
def test_the_bundled_reference_tells_good_from_bad() -> None:
    checks = self_check(ScreenSettings(), workers=1)
    assert all(check.passed for check in checks), "\n".join(map(str, checks))


@pytest.mark.slow
def test_a_foreign_scale_fails_the_check() -> None:
    checks = self_check(ScreenSettings(potential="ase:emt"), n=4, workers=1)
    stable = next(check for check in checks if check.rate.name == "phases on the hull called stable")
    assert not stable.passed
