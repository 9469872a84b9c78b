"""Extended XYZ: what ASE reads is read alike, all values are kept, and each fault has its reason."""

import io

import numpy as np
import pytest
from ase.io import read, write
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.extended_xyz import parse_extxyz
from nucleate.io.interop import to_ase

CELL = 'Lattice="5 0 0 0 5 0 0 0 5"'
SITES = "Na 0 0 0\nCl 2.5 2.5 2.5\n"


def frame(comment=CELL, sites=SITES, count=2):
    return f"{count}\n{comment}\n{sites}"


@given(st.integers(0, 2**32 - 1))
def test_it_reads_what_ase_writes(make_crystals, seed):
    rng = np.random.default_rng(seed)
    frames = to_ase(make_crystals(seed, 4))
    for atoms in frames:
        atoms.info.update({"energy": float(rng.normal()), "source": "a b", "virial": rng.normal(size=(3, 3))})
        atoms.set_array("forces", rng.normal(size=(len(atoms), 3)))
    text = io.StringIO()
    write(text, frames, format="extxyz")
    records = parse_extxyz(text.getvalue())
    theirs = read(io.StringIO(text.getvalue()), index=":", format="extxyz")
    for record, atoms in zip(records, theirs, strict=True):
        assert isinstance(record.entry, ParsedStructure)
        assert record.entry.numbers.tolist() == atoms.numbers.tolist()
        assert np.allclose(record.entry.lattice, atoms.cell.array)
        assert np.allclose(record.entry.frac, atoms.get_scaled_positions(wrap=False))
        assert record.properties["energy"] == atoms.calc.results["energy"]
        assert record.properties["source"] == "a b"
        assert np.allclose(record.properties["virial"], atoms.info["virial"])
        assert np.allclose(record.properties["forces"], atoms.calc.results["forces"])
        assert record.entry.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        frame(),
        frame(CELL.lower()),
        frame(CELL + ' PBC="T T T"'),
        frame(CELL + " Properties=species:S:1:pos:R:3"),
        frame(CELL + " Properties=Z:I:1:pos:R:3", "11 0 0 0\n17 2.5 2.5 2.5\n"),
        frame(CELL + " Properties=pos:R:3:species:S:1:Z:I:1", "0 0 0 Na 11\n2.5 2.5d0 2.5E+00 Cl 17\n"),
        frame(sites=SITES.lower()),
        "\n\n" + frame() + "\n \n",
        frame().replace("\n", "\r\n"),
    ],
)
def test_it_reads_what_others_write(text):
    (record,) = parse_extxyz(text)
    assert isinstance(record.entry, ParsedStructure), record.entry
    assert record.entry.numbers.tolist() == [11, 17]
    assert record.entry.frac[1] == pytest.approx([0.5] * 3)


def test_a_name_stays_text_and_values_are_kept_where_there_is_no_crystal():
    (record,) = parse_extxyz(frame(CELL + ' id=007 energy=-7.1 stress="1 0 0 0 1 0 0 0 1" pbc="T T F"'))
    assert "three directions" in record.entry
    assert record.id == "007"
    assert record.properties["energy"] == -7.1
    assert record.properties["stress"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (frame("no cell"), "three directions"),
        (frame('Lattice="5 0 0 5 0 0 0 0 5"'), "without volume"),
        (frame('Lattice="nan 0 0 0 5 0 0 0 5"'), "without volume"),
        (frame('Lattice="5 0 0"'), "comment line"),
        (frame(sites="Na 0 0 0\nCl 2.5 2.5\n"), "site 2 has 3 values"),
        (frame(sites="Na 0 0 0\nQq 2.5 2.5 2.5\n"), "unknown element Qq"),
        (frame(sites="Na 0 0 0\nCl 2.5 2.5 1_0\n"), "'1_0' in the column pos"),
        (frame(sites="Na 0 0 0\nCl 2.5 2.5 ２\n"), "in the column pos"),
        (frame(CELL + " Properties=Z:R:1:pos:R:3", "29.7 0 0 0\n17 2.5 2.5 2.5\n"), "atomic number of 29.7"),
        (frame(CELL + " Properties=species:S:1:Z:I:1:pos:R:3", "Na 12 0 0 0\nCl 17 1 1 1\n"), "contradict"),
        (frame(CELL + " Properties=species:S:1:pos:R:999999999"), "width"),
        (frame(CELL + " Properties=species:S:1:pos:R"), "name:type:width"),
        (frame(CELL + " Properties=species:S:1:pos:Q:3"), "unknown type"),
        (frame(CELL + " Properties=species:S:1:pos:R:3", "Na 0 0 0 1\nCl 1 1 1 1\n"), "5 values where 4"),
        (frame(CELL + ' occupancy="_JSON {\\"0\\": {\\"Na\\": 0.5}}"'), "partial occupancies"),
        (frame(CELL + " x=" + "[" * 300_000), "comment line of"),
        (frame(CELL + ' x="_JSON ' + "[" * 50_000 + '"'), "comment line"),
        (frame(count="²"), "where a count"),
        (frame(count=3), "2 lines for 3 atoms"),
        (frame(count=3).rstrip(), "2 lines for 3 atoms"),
    ],
)
def test_each_fault_has_its_reason(text, reason):
    *_, record = parse_extxyz(text)
    assert isinstance(record.entry, str)
    assert reason in record.entry
