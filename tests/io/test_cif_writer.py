"""CIFs that we write carry the symmetry found: we, pymatgen and ASE read the crystal back from one site an orbit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from minerals import MINERALS
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.cif_reader import parse_cifs
from nucleate.io.cif_writer import block_names, cif_texts, made_different
from nucleate.io.interop import from_pymatgen, to_pymatgen
from nucleate.io.validation import validate

seeds = st.integers(0, 2**32 - 1)
NUMBERS = {"rutile": 136, "spinel": 227, "wurtzite": 186, "corundum": 167}


def _same_sites(first: ParsedStructure, second: ParsedStructure, tolerance: float) -> bool:
    """Equal cells and equal sets of sites, in any order."""
    if sorted(first.numbers) != sorted(second.numbers) or np.abs(first.lattice - second.lattice).max() > tolerance:
        return False
    delta = first.frac[:, None] - second.frac[None]
    near = (np.abs(delta - np.round(delta)) < tolerance).all(-1) & (first.numbers[:, None] == second.numbers[None])
    return bool((near.sum(0) == 1).all() and (near.sum(1) == 1).all())


@pytest.mark.parametrize("name", MINERALS)
def test_written_symmetry_comes_back_through_pymatgen(name):
    structure = MINERALS[name]
    primitive = structure.get_primitive_structure()
    (text,) = cif_texts(from_pymatgen([primitive]), [name])
    again = Structure.from_str(text, fmt="cif")
    assert again.get_space_group_info(0.01)[1] == NUMBERS[name]
    assert f"_space_group_IT_number   {NUMBERS[name]}\n" in text
    assert len(again) == len(structure)
    assert again.composition == structure.composition
    rms = StructureMatcher().get_rms_dist(primitive, again)
    assert rms is not None
    assert rms[1] < 1e-4
    atom_lines = text.split("_atom_site_occupancy\n")[1].splitlines()
    assert len(atom_lines) == {"rutile": 2, "spinel": 3, "wurtzite": 2, "corundum": 2}[name]


@pytest.mark.parametrize("name", MINERALS)
def test_written_symmetry_is_read_back_as_pymatgen_reads_it(name):
    (text,) = cif_texts(from_pymatgen([MINERALS[name]]), [name])
    (found,) = parse_cifs([text])
    again = Structure.from_str(text, fmt="cif")
    theirs = ParsedStructure(np.array(again.atomic_numbers), again.frac_coords, again.lattice.matrix)
    assert _same_sites(found, theirs, 1e-7)
    assert found.notes == ()


@pytest.mark.parametrize("name", MINERALS)
def test_wyckoff_letters_and_multiplicities_are_those_of_spglib(name):
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    (text,) = cif_texts(from_pymatgen([MINERALS[name]]), [name])
    found = sorted([line.split()[0], line.split()[2]] for line in text.split("occupancy\n")[1].splitlines())
    symmetrized = SpacegroupAnalyzer(MINERALS[name], 0.01).get_symmetrized_structure()
    expected = sorted([sites[0].specie.symbol, str(len(sites))] for sites in symmetrized.equivalent_sites)
    assert found == expected


def test_real_crystals_come_back_matching(real_cifs):
    crystals = validate(parse_cifs(real_cifs["cif"].tolist()[::60])).crystals
    texts = cif_texts(crystals, [str(i) for i in range(len(crystals))])
    matcher = StructureMatcher()
    asymmetric = 0
    for original, text, n in zip(to_pymatgen(crystals), texts, crystals.n_atoms.tolist(), strict=True):
        again = Structure.from_str(text, fmt="cif")
        rms = matcher.get_rms_dist(original, again)
        assert rms is not None
        assert rms[1] * (original.volume / n) ** (1 / 3) < 0.02  # Å
        asymmetric += "'P 1'" in text
    assert asymmetric <= 0.1 * len(crystals)
    assert all(isinstance(one, ParsedStructure) and not one.notes for one in parse_cifs(texts))


@given(seeds)
def test_without_symmetry_the_cell_and_the_order_stay(make_crystals, same_crystals, seed):
    crystals = make_crystals(seed, 3, 8)
    crystals = crystals[crystals.n_atoms > 2]
    if not len(crystals):
        return
    texts = cif_texts(crystals, [str(i) for i in range(len(crystals))])
    assert all("_symmetry_space_group_name_H-M   'P 1'" in text for text in texts)
    again = validate(parse_cifs(texts)).crystals
    assert torch.equal(again.numbers, crystals.numbers)
    delta = again.frac - crystals.frac
    assert (delta - delta.round()).abs().max() < 1e-4 / 3  # thirds are made exact
    assert torch.allclose(again.lattice @ again.lattice.mT, crystals.lattice @ crystals.lattice.mT, atol=1e-5)


def test_other_programs_read_the_symmetric_files():
    import io

    from ase.io import read

    for name, structure in MINERALS.items():
        (text,) = cif_texts(from_pymatgen([structure]), [name])
        atoms = read(io.StringIO(text), format="cif")
        assert len(atoms) == len(structure)
        assert atoms.get_volume() == pytest.approx(structure.volume, rel=1e-6)


@given(st.lists(st.text(max_size=80), max_size=6))
def test_block_names_are_different_and_safe(ids):
    names = block_names(ids)
    assert len({name.lower() for name in names}) == len(ids)
    assert all(name and not set(name) & set(" \t\n/\\'\":*?<>|") and not name.startswith(".") for name in names)


def test_a_numbered_name_may_be_taken_already():
    assert made_different(["a", "a", "a-2", "A"]) == ["a", "a-2", "a-2-2", "A-3"]
