"""Files of AIRSS: what ASE and pymatgen write is read back; symmetry, shares and contradictions are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.res import ResIO

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.airss import parse_res
from nucleate.io.interop import to_pymatgen

SALT = """TITL NaCl-1 1.5 125.0 -7.25 0.0 0.0 2 (Pm-3m) n - 3
REM made by hand
CELL 1.54180 5.0 5.0 5.0 90.0 90.0 90.0
LATT -1
SFAC Na Cl
Na 1 0.0 0.0 0.0 1.0
Cl 2 0.5 0.5 0.5 1.0
END
"""


@given(st.integers(0, 2**32 - 1))
def test_it_reads_what_pymatgen_writes(make_crystals, seed):
    for structure in to_pymatgen(make_crystals(seed, 3)):
        (record,) = parse_res(ResIO.structure_to_str(structure))
        assert isinstance(record.entry, ParsedStructure), record.entry
        again = ResIO.structure_from_str(ResIO.structure_to_str(structure))
        assert record.entry.numbers.tolist() == [site.specie.Z for site in again]
        assert np.allclose(record.entry.frac, again.frac_coords, atol=1e-9)
        metric = record.entry.lattice @ record.entry.lattice.T
        assert np.allclose(metric, again.lattice.matrix @ again.lattice.matrix.T, atol=1e-6)


def test_titles_are_names_and_properties():
    first, second = parse_res(SALT + SALT.replace("NaCl-1", "b").replace(" 1.0\nEND", " 1.0 2.5\nEND"))
    assert (first.id, second.id) == ("NaCl-1", "b")
    assert first.properties == {"pressure": 1.5, "energy": -7.25}
    assert first.entry.frac.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5]]
    (spins,) = parse_res(SALT.replace(" 1.0\n", " 1.0 2.5\n"))
    assert spins.properties["spin"] == [2.5, 2.5]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("LATT -1", "LATT 1", "lattice type 1"),
        ("SFAC", "SYMM -x, -y, z\nSFAC", "symmetry operations"),
        ("0.5 0.5 0.5 1.0", "0.5 0.5 0.5 0.5", "partial occupancies"),
        ("0.5 0.5 0.5 1.0", "10.5 0.5 0.5 11.0", "a coordinate of 10.5"),
        ("0.5 0.5 0.5 1.0", "0.5 0.5 here 1.0", "where a site"),
        ("Cl 2", "Cl 3", "where a site"),
        ("Cl 2", "Na 2", "labelled Na"),
        ("Cl 2", "Og 2", "labelled Og"),
        ("SFAC Na Cl", "SFAC Na Qq", "unknown element Qq"),
        ("125.0", "250.0", "the title says 250"),
        ("0.0 2 (", "0.0 3 (", "the title says 3"),
        ("Cl 2 0.5 0.5 0.5 1.0\n", "", "the title says 2"),
        ("CELL 1.54180 5.0", "CELL 1.54180", "where the cell"),
        ("CELL", "REM", "no line CELL"),
        ("END", "AFIX 43", "where a site"),
    ],
)
def test_each_fault_has_its_reason(old, new, reason):
    (record,) = parse_res(SALT.replace(old, new))
    assert isinstance(record.entry, str)
    assert reason in record.entry
