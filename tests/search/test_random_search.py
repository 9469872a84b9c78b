"""Laws of every searcher: seeds, batches, requests, validity."""

from collections.abc import Callable

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions
from nucleate.descriptors.geometry import validity
from nucleate.errors import UserError
from nucleate.search.random_search import RandomSearch, space_group
from nucleate.search.substitution import Substitution

REQUESTS = {
    "anything": [],
    "system": ["chemical_system=Mg-O"],
    "composition": ["composition=CaTiO3"],
    "size": ["n_atoms=5", "chemical_system=K-Nb-O"],
    "group": ["space_group=225", "chemical_system=Ca-F"],
    "group and composition": ["space_group=221", "composition=KMgF3"],
}


@pytest.fixture(params=["random", "random without symmetry", "substitution"])
def searcher(request, parents) -> RandomSearch | Substitution:
    make: dict[str, Callable] = {
        "random": RandomSearch,
        "random without symmetry": lambda: RandomSearch(symmetric_share=0),
        "substitution": lambda: Substitution(parents),
    }
    return make[request.param]()


def same(a: Crystals, b: Crystals) -> bool:
    return torch.equal(a.numbers, b.numbers) and torch.equal(a.frac, b.frac) and torch.equal(a.lattice, b.lattice)


def test_same_seed_same_bytes_other_seed_other_crystals(searcher) -> None:
    first = searcher.sample(6, seed=5)
    assert same(first, searcher.sample(6, seed=5))
    assert not same(first, searcher.sample(6, seed=6))


def test_a_crystal_does_not_depend_on_its_batch(searcher) -> None:
    whole = searcher.sample(7, seed=2)
    for start, n in ((0, 2), (2, 1), (3, 4)):
        part = searcher.sample(n, seed=2, start=start)
        alike = whole[start : start + n]
        assert torch.equal(part.numbers, alike.numbers)
        torch.testing.assert_close(part.frac, alike.frac, rtol=0, atol=1e-6)
        torch.testing.assert_close(part.lattice, alike.lattice, rtol=0, atol=1e-6)


@pytest.mark.parametrize("request_name", list(REQUESTS))
def test_requests_are_met_by_valid_crystals(searcher, request_name: str) -> None:
    where = Conditions.parse(REQUESTS[request_name])
    crystals = searcher.sample(5, where, seed=1)
    assert len(crystals) == 5
    assert validity(crystals).is_valid.all()
    assert ((crystals.frac >= 0) & (crystals.frac < 1)).all()
    for i, counts in enumerate(compositions(crystals)):
        if where.chemical_system is not None:
            assert set(counts) == set(where.chemical_system)
        if where.composition is not None:
            unit = sum(counts.values()) // sum(where.composition.values())
            assert counts == {z: n * unit for z, n in where.composition.items()}
        if where.n_atoms is not None:
            assert where.n_atoms[0] <= sum(counts.values()) <= where.n_atoms[1]
        if where.space_group is not None:
            assert space_group(crystals[i]) == where.space_group


def test_subsystems_on_request(searcher) -> None:
    where = Conditions.parse(["chemical_system=K-Nb-O"], allow_subsystems=True)
    kinds = [set(counts) for counts in compositions(searcher.sample(10, where, seed=3))]
    assert all(kind <= {19, 41, 8} for kind in kinds)
    assert len({frozenset(kind) for kind in kinds}) > 1


def test_progress_counts_up_to_n(searcher) -> None:
    seen: list[int] = []
    searcher.sample(4, seed=0, progress=seen.append)
    assert seen[-1] == 4
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("items", "word"),
    [
        (["band_gap=1..2"], "band_gap"),
        (["chemical_system=Og-O"], "symbol"),
        (["chemical_system=Po-O"], "Po"),
        (["space_group=230", "composition=NaCl", "n_atoms=2"], "--where"),
    ],
)
def test_what_cannot_be_met_is_one_clear_line(searcher, items: list[str], word: str) -> None:
    with pytest.raises(UserError, match=word):
        searcher.sample(1, Conditions.parse(items))


def test_no_crystals(searcher) -> None:
    assert len(searcher.sample(0)) == 0
