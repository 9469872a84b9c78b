"""POSCAR: what pymatgen writes is read as pymatgen reads it; without symbols nothing is guessed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.vasp import Poscar, Xdatcar

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.files import read_structures
from nucleate.io.interop import to_pymatgen
from nucleate.io.poscar import parse_poscar, parse_xdatcar, poscar_texts, potcar_names


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


POTCAR = """  PAW_PBE Na_pv 19Sep2006
   TITEL  = PAW_PBE Na_pv 19Sep2006
 End of Dataset
   TITEL  = PAW_PBE Cl 06Sep2000
 End of Dataset
"""


def test_a_potcar_beside_it_names_the_elements(tmp_path):
    assert potcar_names(POTCAR) == ["Na_pv", "Cl"]
    found = parse_poscar(poscar(symbols=""), potcar_names(POTCAR))
    assert formula(found) == "Na Cl"
    assert "POTCAR" in found.notes[0]
    assert "no element symbols" in parse_poscar(poscar(symbols="", counts="1 1 0"), potcar_names(POTCAR))
    assert "labelled K" in parse_poscar(poscar(symbols="", sites="0 0 0 K\n.5 .5 .5 Cl"), potcar_names(POTCAR))
    for name in ("a/POSCAR", "a/POTCAR", "b/POSCAR"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(POTCAR if "POTCAR" in name else poscar(symbols=""))
    found = read_structures(tmp_path)
    assert found.ids == ["a"]
    assert found.failures[0].id == "b"
    assert found.skipped == ()
    assert read_structures(tmp_path / "a" / "POSCAR").crystals.numbers.tolist() == [[11, 17]]


def steps(*shifts, header=""):
    return "".join(
        f"{header if k else ''}Direct configuration= {k + 1:5d}\n 0 0 0\n .5 .5 {x}\n" for k, x in enumerate(shifts)
    )


HEADER = "t\n1.0\n5.0 0 0\n0 5.0 0\n0 0 5.0\nNa Cl\n1 1\n"


@pytest.mark.parametrize("again", ["", HEADER])
def test_all_steps_of_an_xdatcar_are_read_as_pymatgen_reads_them(tmp_path, again):
    text = HEADER + steps(0.5, 0.4, 0.3, header=again)
    (tmp_path / "XDATCAR").write_text(text)
    found = parse_xdatcar(text)
    theirs = Xdatcar(tmp_path / "XDATCAR").structures
    assert len(found) == len(theirs) == 3
    for one, other in zip(found, theirs, strict=True):
        assert formula(one) == "Na Cl"
        assert np.allclose(one.frac, other.frac_coords)
        assert np.allclose(one.lattice, other.lattice.matrix)
    assert read_structures(tmp_path / "XDATCAR").rows == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "n", "reason"),
    [
        (HEADER + steps(0.5) + "Direct configuration= 2\n0 0 0\n", 2, "1 lines of coordinates"),
        (HEADER + steps(0.5) + "an odd line", 2, "'an odd line' where a step"),
        (HEADER.replace("1 1", "1 9999999") + steps(0.5), 1, "sites; at most"),
        (HEADER.replace("1 1", "Na Cl") + steps(0.5), 1, "no line of counts"),
        ("Direct", 1, "no line of counts"),
        ("", 1, "no steps"),
    ],
)
def test_steps_that_are_none_have_their_reason(text, n, reason):
    found = parse_xdatcar(text)
    assert len(found) == n
    assert reason in str(found[-1])
