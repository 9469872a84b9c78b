"""Orderings are as many as a search with pymatgen's matcher finds, and the textbook's for the cubic lattices."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.files import read_structures
from nucleate.thermo.magnetism import Ordering, magnetic_orderings, write_orderings

CUBIC = {
    "sc": [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
    "bcc": [[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]],
    "fcc": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
}


def lone(kind: str) -> Crystals:
    return Crystals.from_lists([[26]], [[[0.0, 0, 0]]], [(2.9 * torch.tensor(CUBIC[kind])).tolist()])


def nickel_arsenide() -> Crystals:
    a, c = 3.6, 5.0
    cell = [[a, 0, 0], [-a / 2, a * math.sqrt(3) / 2, 0], [0, 0, c]]
    sites = [[0, 0, 0], [0, 0, 0.5], [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    return Crystals.from_lists([[25, 25, 33, 33]], [sites], [cell])


@pytest.mark.parametrize(("kind", "second", "third"), [("sc", 3, 3), ("bcc", 2, 3), ("fcc", 2, 3)])
def test_cubic_lattices_have_their_textbook_orderings(kind: str, second: int, third: int) -> None:
    """Types A, C and G of the simple cubic lattice; I and II of the face-centred one. Counts: Hart & Forcade."""
    found = magnetic_orderings(lone(kind), torch.tensor([2.2]), cells=3).found
    assert [o.cells for o in found] == [1] + second * [2] + third * [3]
    assert [o.kind for o in found] == ["ferromagnetic"] + second * ["antiferromagnetic"] + third * ["ferrimagnetic"]


def test_the_second_type_of_the_face_centred_lattice_stacks_along_the_diagonal() -> None:
    pairs = [o for o in magnetic_orderings(lone("fcc"), torch.tensor([2.0])).found if o.cells == 2]
    unlike = []
    for o in pairs:
        down = (o.crystal.frac[0][o.moments < 0] @ o.crystal.lattice[0])[:1]
        unlike.append(int((torch.cdist(_ups(o), down) < 2.1).sum()))
    # Of twelve neighbours at 2.05 Å eight are unlike in type I, six in type II.
    assert sorted(unlike) == [6, 8]


def _ups(o: Ordering) -> torch.Tensor:
    """Places of the moments that point up, in many cells."""
    cells = torch.cartesian_prod(*[torch.arange(-3.0, 4)] * 3).double()
    sites = o.crystal.frac[0][o.moments > 0]
    return (sites[:, None] + cells).reshape(-1, 3) @ o.crystal.lattice[0]


def test_as_many_as_there_are_sets_of_distances() -> None:
    """All patterns of all supercells, told apart by the distances between like and between unlike moments.

    No isometry changes these distances, so that patterns which differ in them are different orderings.
    """
    crystal = nickel_arsenide()
    forms = [torch.eye(3)]
    forms += [torch.tensor([[1.0, 0, p], [0, 1, q], [0, 0, 2]]) for p in (0, 1) for q in (0, 1)]
    forms += [torch.tensor([[1.0, p, 0], [0, 2, 0], [0, 0, 1]]) for p in (0, 1)]
    forms += [torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 1]])]
    cells = torch.cartesian_prod(*[torch.arange(-3.0, 4)] * 3).double()
    sets = set()
    for form in forms:
        lattice = form.double() @ crystal.lattice[0]
        steps = [torch.arange(float(n)) for n in form.diagonal()]
        sites = crystal.cart[0, :2, None] + torch.cartesian_prod(*steps).reshape(-1, 3).double() @ crystal.lattice[0]
        sites = sites.reshape(-1, 3)
        apart = (sites[:, None, None] + cells @ lattice - sites[:, None]).norm(dim=-1).permute(0, 2, 1).flatten(1)
        other = torch.arange(len(sites)).repeat(len(cells))
        for pattern in product((1, -1), repeat=len(sites) - 1):
            spins = torch.tensor((1, *pattern))
            like = spins[other] == spins[:, None]
            kinds = (sorted(torch.round(d[l & (d < 8)] * 1e4).int().tolist()) for d, l in zip(apart, like, strict=True))
            copies = 4 // len(sites)  # so that a pattern and its repetition in a supercell give one set
            sets.add(tuple(sorted([tuple(k) for k in kinds] * copies)))
    found = magnetic_orderings(crystal, torch.tensor([4.0, 4.0, 0, 0]), cells=2)
    assert len(found.found) == len(sets)
    assert found.skipped == 0


def test_a_larger_cell_of_the_same_crystal_gives_the_same() -> None:
    crystal = nickel_arsenide()
    double = crystal.lattice.clone()
    double[0, 0] *= 2
    frac = torch.cat([crystal.frac[0], crystal.frac[0] + torch.tensor([1.0, 0, 0])]) / torch.tensor([2.0, 1, 1])
    larger = Crystals.from_lists([crystal.numbers[0].repeat(2)], [frac], double)
    found = magnetic_orderings(crystal, torch.tensor([4.0, 4, 0, 0])).found
    again = magnetic_orderings(larger, torch.tensor([4.0, 4, 0, 0] * 2)).found
    assert [(o.kind, o.cells, o.degeneracy) for o in found] == [(o.kind, o.cells, o.degeneracy) for o in again]


def test_patterns_are_all_counted() -> None:
    found = magnetic_orderings(nickel_arsenide(), torch.tensor([4.0, 4, 0, 0]), cells=1).found
    assert sum(o.degeneracy for o in found) == 4
    assert [o.kind for o in found] == ["ferromagnetic", "antiferromagnetic"]
    assert found[0].magnetization == pytest.approx(11.654 * 8 / float(nickel_arsenide().volume), rel=1e-4)
    assert found[1].magnetization == 0


def test_written_for_dft(tmp_path: Path) -> None:
    found = magnetic_orderings(nickel_arsenide(), torch.tensor([4.0, 4, 0, 0])).found
    write_orderings(found, tmp_path)
    back = read_structures(tmp_path / "POSCAR")
    assert len(back.crystals) == len(found)
    first = found[1].crystal
    assert torch.equal(back.crystals[1].numbers, first.numbers)
    moments = (tmp_path / "INCAR.ordering-1").read_text().splitlines()[-1].removeprefix("MAGMOM = ").split()
    assert [float(m) for m in moments] == found[1].moments.tolist()
    assert (tmp_path / "orderings.csv").read_text().count("\n") == len(found) + 1


def test_bad_input_is_one_line() -> None:
    with pytest.raises(UserError, match="no moment of at least 0.1"):
        magnetic_orderings(nickel_arsenide(), torch.zeros(4))
    with pytest.raises(UserError, match="2 crystals"):
        magnetic_orderings(Crystals.concatenate([lone("sc"), lone("sc")]), torch.ones(2, 1))


def test_supercells_with_too_many_moments_are_counted_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleate.thermo.magnetism.MOST_MAGNETIC", 2)
    found = magnetic_orderings(lone("sc"), torch.ones(1), cells=3)
    assert found.skipped == 3
    assert max(o.cells for o in found.found) == 2
