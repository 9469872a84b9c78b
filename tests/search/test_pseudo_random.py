"""The pseudo-random baseline keeps its one promise, meets requests, and is refused as implausible."""

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.formula import compositions
from nucleate.crystal.periodic import minimum_distances
from nucleate.descriptors.geometry import validity
from nucleate.descriptors.spp import proxy_potential, shipped_table
from nucleate.errors import UserError
from nucleate.search.pseudo_random import SEPARATION, VOLUME_PER_ATOM, PseudoRandom


@pytest.fixture(scope="module")
def crystals():
    return PseudoRandom().sample(150, seed=1)


def test_atoms_keep_their_distance_in_cells_of_one_density(crystals) -> None:
    assert (minimum_distances(crystals).flatten(1).amin(1) >= SEPARATION).all()
    assert validity(crystals).is_valid_lax.all()
    torch.testing.assert_close(crystals.volume, VOLUME_PER_ATOM * crystals.n_atoms.double())
    assert set(crystals.n_atoms.tolist()) == set(range(1, 21))


def test_the_proxy_potentials_refuse_it(crystals) -> None:
    for images, threshold in shipped_table().thresholds.items():
        assert (proxy_potential(crystals, images=images).score <= threshold).double().mean() < 0.1


def test_same_seed_same_crystal_whatever_its_batch(crystals) -> None:
    part = PseudoRandom().sample(4, seed=1, start=70)
    assert torch.equal(part.numbers, crystals[70:74].numbers)
    torch.testing.assert_close(part.frac, crystals[70:74].frac, rtol=0, atol=1e-12)
    assert not torch.equal(PseudoRandom().sample(4, seed=2).lattice, crystals[:4].lattice)


@pytest.mark.parametrize(
    "items", [["chemical_system=Mg-O"], ["composition=CaTiO3"], ["n_atoms=5", "chemical_system=K-Nb-O"], ["n_atoms=24"]]
)
def test_requests_are_met(items) -> None:
    where = Conditions.parse(items)
    for counts in compositions(PseudoRandom().sample(5, where, seed=1)):
        if where.chemical_system is not None:
            assert set(counts) == set(where.chemical_system)
        if where.composition is not None:
            units = sum(counts.values()) // 5
            assert counts == {z: n * units for z, n in where.composition.items()}
        if where.n_atoms is not None:
            assert where.n_atoms[0] <= sum(counts.values()) <= where.n_atoms[1]


@pytest.mark.parametrize(
    ("items", "word"),
    [
        (["space_group=225"], "space_group"),
        (["band_gap=1..2"], "band_gap"),
        (["n_atoms=2", "chemical_system=K-Nb-O"], "conditions"),
    ],
)
def test_what_cannot_be_met_is_one_clear_line(items, word) -> None:
    with pytest.raises(UserError, match=word):
        PseudoRandom().sample(1, Conditions.parse(items))


def test_no_crystals_and_progress() -> None:
    seen: list[int] = []
    assert len(PseudoRandom().sample(0, progress=seen.append)) == 0
    PseudoRandom().sample(3, progress=seen.append)
    assert seen == [3]
