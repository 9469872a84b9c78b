"""POSCAR: what pymatgen writes is read as pymatgen reads it; without symbols nothing is guessed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.vasp import Poscar

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.interop import to_pymatgen
from nucleate.io.poscar import parse_poscar, poscar_texts


def poscar(comment="t", scale="1.0", symbols="Na Cl", counts="1 1", mode="Direct", sites="0 0 0\n.5 .5 .5", tail=""):
    head = [comment, scale, "5.0 0 0", "0 5.0 0", "0 0 5.0", *([symbols] if symbols else []), counts, mode]
    return "\n".join([*head, sites, tail])


def formula(entry):
    assert isinstance(entry, ParsedStructure), entry
    return " ".join(SYMBOLS[z] for z in entry.numbers)


@given(st.integers(0, 2**32 - 1))
def test_it_reads_what_pymatgen_writes(make_crystals, seed):
    crystals = make_crystals(seed, 3)
    texts = [Poscar(one).get_str(direct=bool(seed % 2)) for one in to_pymatgen(crystals)] + poscar_texts(
        crystals, "abc"
    )
    for text in texts:
        found, expected = parse_poscar(text), Poscar.from_str(text).structure
        assert found.numbers.tolist() == [site.specie.Z for site in expected]
        assert np.allclose(found.lattice, expected.lattice.matrix, atol=1e-9)
        assert np.allclose(found.frac, expected.frac_coords, atol=1e-9)
        assert found.notes == ()


@pytest.mark.parametrize("factor", ["-64.0", "0.8", "0.8 0.8 0.8"])
@pytest.mark.parametrize("mode", ["Cartesian", "k"])
def test_a_scale_changes_the_cell_and_no_fraction(factor, mode):
    found = parse_poscar(poscar(scale=factor, mode=mode, sites="0 0 0\n1.3 1.1 2.5"))
    assert abs(np.linalg.det(found.lattice)) == pytest.approx(64.0)
    assert found.frac[1] == pytest.approx([0.26, 0.22, 0.5])


@pytest.mark.parametrize(
    "text",
    [
        poscar(symbols="Na_pv Cl"),
        poscar(symbols="Na/2b3c4d5e Cl_h/ab12"),
        poscar(scale="1.0 ! scale", symbols="Na Cl ! kinds", counts="1 1 # ! two".replace("# ", "")),
        poscar(mode="Selective dynamics\nDirect", sites="0 0 0 T T F\n.5 .5 .5 F F F"),
        poscar(sites=" 0.000000000-0.000000000 0.000000000\n 0.500000000-0.500000000 0.500000000"),
        poscar(sites="0 0 0 Na\n.5 .5 .5 Cl"),
        poscar(symbols="Na Cl K", counts="1 1 0"),
        poscar(counts="1.0 1.0"),
        poscar(comment=""),
        poscar(sites="0.0d0 0 0\n5.0D-1 .5 .5", tail="\n 0.0 0.0 0.0\n 0.0 0.0 0.0"),
        poscar().replace("\n", "\r\n"),
    ],
)
def test_it_reads_what_others_write(text):
    found = parse_poscar(text)
    assert formula(found) == "Na Cl"
    assert found.notes == ()
    assert np.abs(found.frac[1]) == pytest.approx([0.5] * 3)


@pytest.mark.parametrize(
    ("text", "expected", "word"),
    [
        (poscar(comment="Na Cl", symbols=""), "Na Cl", "comment line"),
        (poscar(comment="NaCl", symbols=""), "Na Cl", "comment line"),
        (poscar(symbols="", sites="0 0 0 Na\n.5 .5 .5 Cl"), "Na Cl", "labels of the sites"),
        (poscar(tail="\n 0.0 0.1 0.0"), "Na Cl", "velocities"),
    ],
)
def test_what_is_taken_from_elsewhere_is_said(text, expected, word):
    found = parse_poscar(text)
    assert formula(found) == expected
    assert word in found.notes[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (poscar(symbols=""), "no element symbols"),
        (poscar(comment="NaCl2", symbols=""), "no element symbols"),
        (poscar(symbols="Na Qq"), "unknown element Qq"),
        (poscar(symbols="Na H1.25"), "unknown element H1.25"),
        (poscar(counts="1"), "2 symbols, but 1 counts"),
        (poscar(counts="1 2"), "2 lines of coordinates for 3 atoms"),
        (poscar(counts="1 -1"), "'-1' where a count"),
        (poscar(counts="50*1 1"), "where a count"),
        (poscar(counts="1 9999999"), "sites; at most"),
        (poscar(counts="1 " + "9" * 5000), "where a count"),
        (poscar(scale="0"), "a scale of 0"),
        (poscar(scale="nan"), "'nan' where the scale"),
        (poscar(scale="1 2"), "two scales"),
        (poscar(mode="0 0 0"), "where 'Direct' or 'Cartesian'"),
        (poscar(sites="0 0 0\n.5 .5 here"), "where a coordinate"),
        (poscar(sites="0 0 0 Na\n.5 .5 .5 O"), "site 2 is labelled O"),
        (poscar(sites="0 0 0\n.5 .5 " + "1" * 1_000_000 + "x"), "where a coordinate"),
        ("Na\n1.0", "at least 8"),
        ("", "at least 8"),
    ],
)
def test_each_fault_has_its_reason(text, reason):
    found = parse_poscar(text)
    assert isinstance(found, str)
    assert reason in found
