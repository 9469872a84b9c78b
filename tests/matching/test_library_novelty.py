"""Novelty: a set against itself is never new; a known formula is not a known structure."""

import pytest

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.interop import from_pymatgen
from nucleate.matching.library import StructureLibrary, novelty


def test_a_set_against_itself_has_no_novelty(prototypes, disguised) -> None:
    known = from_pymatgen(prototypes())
    again = from_pymatgen([disguised(p, i) for i, p in enumerate(prototypes())])
    for batch in (known, again):
        table = novelty(batch, known)
        assert not table["is_novel"].any()
        assert table["known_as"].tolist() == list(range(len(prototypes())))
        assert table["formula_known"].all()


def test_new_structure_of_a_known_formula(prototypes) -> None:
    structures = prototypes()
    table = novelty(from_pymatgen(structures[:3]), from_pymatgen(structures[1:2]), ["SrTiO3"])
    assert table["is_novel"].tolist() == [True, False, True]
    assert table["formula_known"].all()


def test_formula_known_without_a_structure(prototypes) -> None:
    structures = prototypes()
    table = novelty(from_pymatgen(structures[3:]), from_pymatgen(structures[:1]), ["Ti2O4", "Mg2Si"])
    assert table["is_novel"].all()
    assert table["formula_known"].tolist() == [True, True, False]


def test_without_known_structures_novelty_is_unknown(prototypes) -> None:
    table = novelty(from_pymatgen(prototypes()[:2]), StructureLibrary(), ["MgO"])
    assert table["is_novel"].isna().all()
    assert table["formula_known"].all()
    assert "no known structures" in table["novelty_reason"][0]


def test_unusable_crystal_is_unknown(prototypes) -> None:
    good = from_pymatgen(prototypes()[:1])
    bad = Crystals(good.numbers, good.frac, good.lattice * float("inf"), good.n_atoms)
    assert novelty(bad, good)["is_novel"].isna().all()


def test_a_wrong_formula_is_the_users_mistake(prototypes) -> None:
    with pytest.raises(UserError):
        novelty(from_pymatgen(prototypes()[:1]), StructureLibrary(), ["Xx2"])
