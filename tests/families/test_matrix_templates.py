"""Whole matrices on templates: any of them is a crystal of the space group, and known crystals stay what they are."""

import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from nucleate.families.matrix_templates import MatrixTemplates, in_template_order, templates_by_column
from nucleate.io.interop import from_pymatgen, to_pymatgen
from nucleate.representations.ircr import IRCR
from nucleate.symmetry.space_group import primitive_cells, space_groups

RUTILE = Structure.from_spacegroup(136, Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]])
PEROVSKITE = Structure.from_spacegroup(
    221, Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]
)
WURTZITE = Structure.from_spacegroup(
    186, Lattice.hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]]
)
CROOKED = Structure(Lattice.from_parameters(4, 5, 6, 80, 95, 102), ["O", "Ti"], [[0.1, 0.2, 0.3], [0.55, 0.61, 0.72]])
KNOWN = [RUTILE, PEROVSKITE, WURTZITE, CROOKED]


@pytest.fixture(scope="module")
def placed():
    """Known crystals in the order of their templates, and these."""
    templates = templates_by_column()
    return *in_template_order(primitive_cells(from_pymatgen(KNOWN)), templates), templates


def tied(placed):
    _, template, templates = placed
    return MatrixTemplates.of(IRCR(3, 12), templates, template)


def test_crystals_in_template_order_are_the_same_crystals(placed):
    crystals, *_ = placed
    assert all(StructureMatcher().fit(a, b) for a, b in zip(KNOWN, to_pymatgen(crystals), strict=True))
    assert space_groups(crystals, 1e-4).tolist() == [136, 221, 186, 1]
    assert [[site.specie.symbol for site in one] for one in to_pymatgen(crystals)][:2] == [
        ["Ti"] * 2 + ["O"] * 4,
        ["Sr", "Ti", "O", "O", "O"],
    ]


def test_the_order_does_not_depend_on_how_the_sites_came(placed):
    turned = [Structure.from_sites(list(reversed(list(one)))) for one in KNOWN]
    again, _ = in_template_order(primitive_cells(from_pymatgen(turned)), templates_by_column())
    assert torch.equal(again.numbers, placed[0].numbers)
    torch.testing.assert_close(again.frac, placed[0].frac, atol=1e-6, rtol=0)


def test_known_crystals_are_on_their_templates(placed):
    found = tied(placed)
    matrix = found.ircr.encode(placed[0])
    torch.testing.assert_close(found.projected(matrix), matrix, atol=1e-6, rtol=0)
    assert torch.equal(found.occupancy(), matrix[:, found.ircr.blocks["O"], :3])


@pytest.mark.parametrize("seed", range(3))
def test_any_matrix_is_moved_onto_a_crystal_of_the_group(placed, seed):
    found = tied(placed)
    matrix = found.ircr.encode(placed[0])
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    blocks = found.ircr.blocks
    matrix[:, blocks["C"]] += 0.05 * normal(matrix[:, blocks["C"]].shape)
    matrix[:, blocks["L"].start] *= 1 + 0.05 * normal((4, 3))
    matrix[:, blocks["L"].start + 1] += 3 * normal((4, 3))
    assert space_groups(found.ircr.decode(matrix), 1e-3).tolist() == [1, 1, 1, 1]
    moved = found.projected(matrix)
    assert space_groups(found.ircr.decode(moved), 1e-4).tolist() == [136, 221, 186, 1]
    torch.testing.assert_close(found.projected(moved), moved, atol=1e-6, rtol=0)


def test_numbers_that_are_no_cell_are_left_alone(placed):
    found = tied(placed)
    matrix = found.ircr.encode(placed[0])
    matrix[:, found.ircr.blocks["L"].start + 1] = torch.tensor([10.0, 170.0, 10.0], dtype=torch.float64)
    assert found.projected(matrix).isfinite().all()


def test_sites_or_elements_that_break_the_template_are_seen(placed):
    found = tied(placed)
    numbers = found.ircr.numbers(found.ircr.encode(placed[0]))
    assert found.kept(numbers).all()
    other, fewer, more = numbers.clone(), numbers.clone(), numbers.clone()
    other[:, 1] = 99
    fewer[:, 0] = 0
    more[:, 7] = 8
    # The first two sites of rutile and wurtzite are equivalent, those of the others are not.
    assert found.kept(other).tolist() == [False, True, False, True]
    assert not found.kept(fewer).any()
    assert not found.kept(more).any()
