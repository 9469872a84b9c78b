"""Templates: what they take from crystals, and that any crystal on one has its space group."""

import moyopy
import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.symmetry.space_group import space_groups
from nucleate.symmetry.templates import OFFSETS, OrbitTemplates


@pytest.fixture(scope="session")
def primitive(known):
    """The known crystals as primitive cells, shifted at random."""
    generator = torch.Generator().manual_seed(1)
    numbers, frac, lattice = [], [], []
    for i in range(len(known[0])):
        z, x, cell = (part.tolist() for part in known[0].sites(i))
        small = moyopy.MoyoDataset(moyopy.Cell(cell, x, z), symprec=0.1).prim_std_cell
        numbers.append(list(small.numbers))
        frac.append((torch.tensor(small.positions) + torch.rand(3, generator=generator)).tolist())
        lattice.append(torch.tensor(small.basis))
    return Crystals.from_lists(numbers, frac, lattice)


@pytest.fixture(scope="session")
def templates(primitive):
    fitted = OrbitTemplates()
    fitted.fit(primitive)
    return fitted


def placed(templates, which, seed=0):
    """Crystals on templates: free coordinates and cells at random, one element for each class."""
    generator = torch.Generator().manual_seed(seed)
    orbits, classes = templates.rows(which)
    shape = (*classes.shape, 3)
    frac = orbits.positions(torch.rand(shape, generator=generator))
    stretch = torch.eye(3) + 0.15 * torch.randn(len(which), 3, 3, generator=generator)
    lattice = torch.linalg.cholesky(orbits.metrics(6 * stretch))
    n_atoms = (classes >= 0).sum(1)
    numbers = torch.where(classes >= 0, 20 + 7 * classes, 0)
    return Crystals(numbers, wrap(frac.double()) * (classes >= 0)[..., None], lattice.double(), n_atoms)


def group(crystals, i, symprec=1e-4):
    numbers, frac, lattice = (part.tolist() for part in crystals.sites(i))
    return moyopy.MoyoDataset(moyopy.Cell(lattice, frac, numbers), symprec=symprec).number


def test_each_crystal_gives_the_template_of_its_group(templates, known):
    assert sorted(templates.groups.tolist()) == sorted(known[1].tolist())
    assert templates.weights.tolist() == [1] * len(known[1])


@pytest.mark.parametrize("seed", range(4))
def test_any_crystal_on_a_template_has_its_space_group(templates, seed):
    which = torch.arange(len(templates))
    crystals = placed(templates, which, seed)
    for i in range(len(which)):
        assert group(crystals, i) == templates.groups[i]


def test_sizes_and_classes_are_those_of_the_crystal(templates, primitive):
    by_group = {int(g): row for row, g in enumerate(templates.groups)}
    for i in range(len(primitive)):
        row = by_group[group(primitive, i, 0.1)]
        count = torch.bincount(primitive.sites(i)[0])
        sizes = templates.class_sizes[row]
        assert sorted(sizes[sizes > 0].tolist()) == sorted(count[count > 0].tolist())
        assert int(templates.n_sites[row]) == int(primitive.n_atoms[i])


def test_templates_know_no_elements(primitive, templates):
    renamed = torch.where(primitive.numbers > 0, 103 - primitive.numbers, 0)
    again = OrbitTemplates()
    again.fit(
        Crystals.concatenate([primitive, Crystals(renamed, primitive.frac, primitive.lattice, primitive.n_atoms)])
    )
    assert len(again) == len(templates)
    assert set(again.weights.tolist()) == {2}


def test_origin_order_and_turn_change_neither_group_nor_classes(primitive, templates, otherwise):
    moved, _, _ = otherwise(primitive, 3)
    again = OrbitTemplates()
    again.fit(moved)
    found = {int(g): sorted(sizes.tolist()) for g, sizes in zip(again.groups, again.class_sizes, strict=True)}
    assert found == {
        int(g): sorted(sizes.tolist()) for g, sizes in zip(templates.groups, templates.class_sizes, strict=True)
    }


def test_crystals_come_back_on_their_templates(primitive):
    """Idealised coordinates are those of the crystal but for the origin, and follow the template's ties."""
    fitted = OrbitTemplates()
    found = fitted.fit(primitive)
    placed_so, ideal = found.crystals, found.ideal
    orbits, classes = fitted.rows(found.template, torch.float64)
    real = placed_so.mask
    gap = ideal - placed_so.frac
    gap = ((gap - gap.round()) @ placed_so.lattice).norm(dim=-1)
    assert float(gap.max()) < 0.02
    tied = orbits.constrained(ideal) - ideal
    assert float(((tied - tied.round()) * real[..., None]).abs().max()) < 1e-9
    for i in range(len(primitive)):
        numbers, own = placed_so.numbers[i][real[i]], classes[i][real[i]]
        assert len({(int(z), int(c)) for z, c in zip(numbers, own, strict=True)}) == len(set(numbers.tolist()))
        assert sorted(numbers.tolist()) == sorted(primitive.sites(i)[0].tolist())
    assert torch.equal(space_groups(placed_so, 0.1), space_groups(primitive, 0.1))


def test_a_crystal_lies_on_its_own_template(primitive):
    """The free coordinates of a crystal give that crystal back, at the origin of its template."""
    for i in range(len(primitive)):
        one = OrbitTemplates()
        one.fit(primitive[i])
        orbits, classes = one.rows(torch.tensor([0]))
        numbers, frac, lattice = (part.numpy() for part in primitive.sites(i))
        found = moyopy.MoyoDataset(moyopy.Cell(lattice.tolist(), frac.tolist(), numbers.tolist()), symprec=0.1)
        metric = orbits.metrics(torch.from_numpy(lattice)[None].float())[0].numpy()
        np.testing.assert_allclose(metric, lattice @ lattice.T, rtol=1e-3, atol=1e-3)
        # Sites relative to the origin of the standard setting: each is a fixed point of the template's ties.
        z = frac - np.array(found.prim_std_origin_shift)
        used: set[int] = set()
        for first in orbits.first[0].unique().tolist():
            # The representative is some site; its images under the ties are sites of the same element.
            rotation, shift = orbits.rotation[0].numpy(), orbits.shift[0].numpy()
            members = (orbits.first[0] == first).nonzero().flatten().tolist()
            for start in range(len(z)):
                images = np.stack([rotation[m] @ z[start] + shift[m] for m in members])
                gap = images[:, None] - z[None]
                gap = np.linalg.norm((gap - np.round(gap)) @ lattice, axis=-1)
                hit = gap.argmin(1)
                if gap.min(1).max() < 0.05 and len(set(hit)) == len(members) and not used & set(hit.tolist()):
                    used |= set(hit.tolist())
                    break
        assert used == set(range(len(z)))
        assert int((classes >= 0).sum()) == len(z)


def test_rows_do_not_depend_on_batch_mates(templates):
    which = torch.arange(len(templates))
    whole, classes = templates.rows(which)
    for i in range(len(templates)):
        part, own = templates.rows(which[i : i + 1])
        n = own.shape[1]
        assert torch.equal(own[0], classes[i, :n])
        assert (classes[i, n:] == -1).all()
        for name in ("first", "rotation", "inverse", "shift", "basis", "dual", "projector", "offset"):
            assert torch.equal(getattr(part, name)[0], getattr(whole, name)[i, :n])


def test_buffers_come_back_from_a_state_of_any_size(templates):
    empty = OrbitTemplates()
    assert len(empty) == 0
    empty.load_state_dict(templates.state_dict())
    assert torch.equal(empty.class_sizes, templates.class_sizes)
    assert not any(value.is_floating_point() for value in empty.state_dict().values())


def test_what_has_no_symmetry_result_gives_no_template():
    overlapping = Crystals.from_lists([[3, 3]], [[[0.0, 0, 0], [0.0, 0, 0]]], [torch.eye(3, dtype=torch.float64) * 4])
    templates = OrbitTemplates()
    templates.fit(overlapping)
    assert len(templates) == 0


def test_fixed_coordinates_are_whole_in_the_unit(templates):
    assert int(templates.orbit_offset.abs().max()) < 4 * OFFSETS


def test_real_crystals_give_templates_of_their_groups(real_crystals):
    few = real_crystals[:60]
    templates = OrbitTemplates()
    templates.fit(few)
    assert int(templates.weights.sum()) >= 58
    crystals = placed(templates, torch.arange(len(templates)), seed=5)
    hit = sum(group(crystals, i) == int(templates.groups[i]) for i in range(len(templates)))
    assert hit >= 0.97 * len(templates)


def test_members_are_the_elements_of_the_classes(primitive):
    fitted = OrbitTemplates()
    found = fitted.fit(primitive)
    crystals, at = found.crystals, found.template.clone()
    at[3] = -1
    members = fitted.members(at, crystals.numbers)
    for i, row in enumerate(members.tolist()):
        counted = torch.bincount(crystals.sites(i)[0], minlength=101)
        sizes = fitted.class_sizes[at[i]].tolist()
        expected = [] if i == 3 else [(int(counted[z]), z) for z in counted.nonzero().flatten().tolist()]
        assert sorted((size, z) for size, z in zip(sizes, row, strict=True) if z) == sorted(expected)


def test_ranks_order_the_classes_by_element(primitive):
    rank = [float(-z) for z in range(120)]
    ranked = OrbitTemplates(rank)
    found = ranked.fit(primitive)
    at = found.template
    members = ranked.members(at, found.crystals.numbers)
    for row, sizes, numbers in zip(members.tolist(), ranked.class_sizes[at], primitive.numbers, strict=True):
        elements = [z for z in row if z]
        assert elements == sorted(set(numbers[numbers > 0].tolist()), reverse=True)
        counts = {z: int((numbers == z).sum()) for z in elements}
        assert ranked.class_counts(counts) == sizes[sizes > 0].tolist()
    assert OrbitTemplates().class_counts({3: 2, 8: 5, 9: 1}) == [5, 2, 1]
