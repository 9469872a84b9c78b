"""Every function of the package can be explained, and says what it takes."""

import inspect

import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from pymatgen.core import Lattice, Structure

import nucleate
from nucleate import api, settings
from nucleate.api import as_crystals, as_file
from nucleate.errors import UserError

FUNCTIONS = {name: one for name, one in vars(api).items() if inspect.isfunction(one) and hasattr(one, "settings")}


def test_all_are_public() -> None:
    assert set(FUNCTIONS) <= set(nucleate.__all__)
    assert {"design", "generate", "screen", "compare", "train"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature_and_help_follow_the_settings(name: str) -> None:
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    assert "settings" not in parameters
    assert set(FUNCTIONS[name].settings.keywords()) <= set(parameters)
    for keyword in parameters:
        assert f"\n        {keyword}: " in str(FUNCTIONS[name].__doc__)


def test_settings_stand_in_place_of_keywords() -> None:
    asked = settings.GenerateSettings(model="pseudo-random", n=2, seed=3, where={"n_atoms": "2..4"})
    one, other = nucleate.generate(asked), nucleate.generate("pseudo-random", 2, {"n_atoms": "2..4"}, seed=3)
    assert one.lattice.equal(other.lattice)


class Derived(Structure):
    """A subclass, as other packages make them."""


def mixed():
    salt = Derived.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    alloy = Structure(Lattice.cubic(3.0), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    molecule = Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]])
    return [salt, bulk("Cu", "fcc", 3.6, cubic=True), alloy, "no structure", molecule]


def test_structures_of_any_kind_are_taken_and_bad_ones_are_rows():
    found = as_file(one for one in mixed())
    assert found.rows == [0, 1]
    assert [(failure.row, failure.reason.split(";")[0]) for failure in found.failures] == [
        (2, "partial occupancies"),
        (3, "an object of type str"),
        (4, "no cell that is periodic in three directions"),
    ]
    with pytest.raises(UserError, match="structure 2"):
        as_crystals(mixed())


def test_a_table_with_a_column_of_structures_keeps_names_and_properties():
    good = mixed()[:2]
    table = pd.DataFrame({"gap": [5.0, 0.0], "what": good}, index=["salt", "copper"])
    found = as_file(table)
    assert found.ids == ["salt", "copper"]
    assert found.properties["gap"].tolist() == [5.0, 0.0]
    assert found.crystals.n_atoms.tolist() == [8, 4]
    with pytest.raises(UserError, match="a column of Structure or Atoms"):
        as_file(table[["gap"]])


def test_screening_takes_them_in_their_order(tmp_path):
    run = nucleate.screen(mixed(), out=tmp_path / "run", max_steps=2, descriptors="none", workers=1)
    table = run.candidates()
    assert table["formula"].tolist()[:2] == ["NaCl", "Cu"]
    assert table["status"].tolist()[2:] == ["invalid_input"] * 3
    assert "partial occupancies" in table["reason"][2]
