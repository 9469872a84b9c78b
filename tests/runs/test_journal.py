"""The journal of a chunk: nothing is lost but a line torn by a kill."""

import numpy as np
import pytest

from nucleate.crystal.crystals import Crystals
from nucleate.errors import SkippedWarning, Status
from nucleate.relaxation.relaxer import Relaxed
from nucleate.runs.journal import Journal

CRYSTALS = Crystals.from_lists([[29, 79], [13], [26]], [[[0.0] * 3] * 2, [[0.0] * 3], [[0.0] * 3]], [np.eye(3)] * 3)


def relaxed(row, energy):
    numbers, frac, lattice = (part.numpy() for part in CRYSTALS.sites(row))
    return Relaxed(Status.OK, "", numbers, frac + 1 / 3, lattice * np.pi, energy_per_atom=energy, seconds=0.1)


def same(first, second):
    """Whether two relaxations are the same to the last digit."""
    for name in ("numbers", "frac", "lattice", "energy_per_atom"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    return (first.status, first.reason, first.seconds) == (second.status, second.reason, second.seconds)


@pytest.mark.parametrize("energy", [-1.2345678901234567, float("nan"), float("inf")])
def test_a_relaxation_comes_back_to_the_last_digit(tmp_path, energy):
    journal = Journal(tmp_path / "journal" / "0.jsonl")
    assert journal.read(CRYSTALS) == {}
    journal.append(0, relaxed(0, energy))
    journal.close()
    assert same(Journal(journal.path).read(CRYSTALS)[0], relaxed(0, energy))


def test_a_journal_loses_only_a_torn_last_line(tmp_path):
    journal = Journal(tmp_path / "journal" / "0.jsonl")
    for row in (0, 2):
        journal.append(row, relaxed(row, -3.5))
    journal.close()
    with journal.path.open("ab") as handle:
        handle.write(b'{"row": 1, "ene')
    again = Journal(journal.path)
    assert sorted(again.read(CRYSTALS)) == [0, 2]
    again.append(1, relaxed(1, 0.0))
    again.close()
    found = Journal(journal.path).read(CRYSTALS)
    assert sorted(found) == [0, 1, 2]
    assert same(found[1], relaxed(1, 0.0))
    again.remove()
    assert not journal.path.exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\xff{",
        b"{}",
        b"[]",
        b'{"row": 7',
        lambda line: line.replace(b'"row": 1', b'"row": 9'),
        lambda line: line[40:],
    ],
)
def test_a_damaged_line_costs_its_crystal_alone(tmp_path, damage):
    journal = Journal(tmp_path / "journal" / "0.jsonl")
    for row in range(3):
        journal.append(row, relaxed(row, -3.5))
    journal.close()
    lines = journal.path.read_bytes().splitlines()
    lines[1] = damage(lines[1]) if callable(damage) else damage
    journal.path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.warns(SkippedWarning, match=r"0\.jsonl, line 2: damaged"):
        found = Journal(journal.path).read(CRYSTALS)
    assert sorted(found) == [0, 2]
    journal.append(1, relaxed(1, -3.5))
    with pytest.warns(SkippedWarning):
        assert sorted(Journal(journal.path).read(CRYSTALS)) == [0, 1, 2]
