"""Bonds against pymatgen's neighbours."""

import math

import torch
from pymatgen.core import Lattice, Structure

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.crystal.formula import ELECTRONEGATIVITIES
from nucleate.crystal.periodic import Neighbors
from nucleate.descriptors.bonding import bondable, bonds, cations
from nucleate.descriptors.composition import is_metal


def rows(edges: Neighbors, crystal: int) -> list[tuple[int, ...]]:
    mine = edges.crystal == crystal
    joined = torch.cat([edges.first[mine, None], edges.second[mine, None], edges.image[mine]], 1)
    return sorted(map(tuple, joined.tolist()))


def test_matches_pymatgen(samples):
    crystals = samples.random_batch(5, count=30)
    edges = bonds(crystals, 1.2)
    for i in range(len(crystals)):
        z, x, cell = crystals.sites(i)
        structure = Structure(Lattice(cell.numpy()), z.tolist(), x.numpy())
        first, second, image, distance = structure.get_neighbor_list(6.5)
        radii = [COVALENT_RADII[number] for number in z]
        highest = max(ELECTRONEGATIVITIES[number] for number in z)
        ions = [is_metal(int(number)) and highest - ELECTRONEGATIVITIES[number] >= 1.5 for number in z]
        expected = sorted(
            (int(a), int(b), *map(int, shift))
            for a, b, shift, d in zip(first, second, image, distance, strict=True)
            if d <= 1.2 * (radii[a] + radii[b]) and not (ions[a] and ions[b])
        )
        assert rows(edges, i) == expected


def test_image_and_distance_agree_and_every_bond_has_its_reverse(samples):
    crystals = samples.random_batch(6)
    edges = bonds(crystals)
    c = edges.crystal
    vector = crystals.frac[c, edges.second] + edges.image - crystals.frac[c, edges.first]
    length = (vector[:, None] @ crystals.lattice[c])[:, 0].norm(dim=-1)
    torch.testing.assert_close(length, edges.distance)
    for i in range(len(crystals)):
        forward = rows(edges, i)
        assert forward == sorted((b, a, -x, -y, -z) for a, b, x, y, z in forward)
    assert (c.diff() >= 0).all()


def test_batch_equals_single(samples):
    crystals = samples.random_batch(7)
    together = bonds(crystals)
    for i, one in enumerate(crystals):
        assert rows(bonds(one), 0) == rows(together, i)


def test_skewed_and_flat_cells(samples):
    skewed = ([29], [[0, 0, 0]], [[2.556, 0, 0], [7.668 + 1.278, 2.2136, 0], [5.112 + 1.278, 0.7379, 2.087]])
    assert len(bonds(samples.batch(skewed)).first) == 12
    flat = ([6], [[0, 0, 0]], [[20.0, 0, 0], [0, 20, 0], [0, 0, 0.3]])
    assert len(bonds(samples.batch(flat)).first) == 2 * math.floor(1.2 * 1.52 / 0.3)


def test_broken_crystals_have_none_and_duplicates_touch(samples):
    names = [*samples.BROKEN, "beyond the tables"]
    cells = [*samples.BROKEN.values(), samples.STRANGE["beyond the tables"]]
    crystals = samples.batch(*cells, samples.STRANGE["duplicate sites"])
    assert bondable(crystals).tolist() == [False] * len(names) + [True]
    edges = bonds(crystals)
    assert set(edges.crystal.tolist()) == {len(names)}
    assert float(edges.distance.min()) == 0.0


def test_who_is_a_cation(samples):
    crystals = samples.batch(samples.ROCK_SALT, samples.COPPER, samples.PEROVSKITE)
    assert cations(crystals)[0].tolist()[:2] == [True, False]
    assert not cations(crystals)[1].any()
    assert cations(crystals)[2].tolist() == [True, True, False, False, False]
