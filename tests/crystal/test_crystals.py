"""The container: padding changes nothing, slices keep order, shapes are checked."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.errors import UserError

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_concatenating_the_singles_gives_the_batch(make_crystals, seed):
    crystals = make_crystals(seed)
    again = Crystals.concatenate(list(crystals))
    assert torch.equal(again.numbers, crystals.numbers)
    assert torch.equal(again.frac, crystals.frac)
    assert torch.equal(again.lattice, crystals.lattice)


@given(seeds, st.integers(0, 5))
def test_padding_changes_no_crystal(make_crystals, seed, extra):
    crystals = make_crystals(seed)
    padded = crystals.padded(crystals.numbers.shape[1] + extra)
    assert padded.mask.sum() == crystals.n_atoms.sum()
    assert torch.equal(padded.volume, crystals.volume)
    for i in range(len(crystals)):
        for a, b in zip(crystals.sites(i), padded.sites(i), strict=True):
            assert torch.equal(a, b)


@given(seeds, st.permutations(range(4)))
def test_index_permutes(make_crystals, seed, order):
    crystals = make_crystals(seed, 4)
    chosen = crystals[order]
    for new, old in enumerate(order):
        for a, b in zip(chosen.sites(new), crystals.sites(old), strict=True):
            assert torch.equal(a, b)


def test_mask_and_slice_and_integer_agree(make_crystals):
    crystals = make_crystals(1, 5)
    by_slice = crystals[1:4:2]
    mask = torch.tensor([False, True, False, True, False])
    assert torch.equal(by_slice.frac, crystals[mask].frac)
    assert torch.equal(by_slice.frac, crystals[torch.tensor([1, 3])].frac)
    assert torch.equal(crystals[2].lattice, crystals[2:3].lattice)
    assert len(crystals[torch.zeros(5, dtype=torch.bool)]) == 0


def test_fields_travel_with_their_crystal(make_crystals):
    crystals = make_crystals(2, 4)
    b = len(crystals)
    fields = Crystals(
        crystals.numbers,
        crystals.frac,
        crystals.lattice,
        crystals.n_atoms,
        {"gap": torch.arange(b, dtype=torch.float64)},
    )
    part = fields[[3, 1]]
    assert part.crystal_fields["gap"].tolist() == [3.0, 1.0]
    joined = Crystals.concatenate([part, crystals])
    assert not joined.crystal_fields  # only what all parts have
    single = fields.to(dtype=torch.float32)
    assert single.crystal_fields["gap"].dtype == torch.float32
    assert single.numbers.dtype == torch.int64


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Crystals.frac", {"frac": torch.zeros(2, 3, 2)}),
        ("Crystals.lattice", {"lattice": torch.zeros(1, 3, 3)}),
        ("Crystals.n_atoms", {"n_atoms": torch.zeros(3, dtype=torch.int64)}),
        ("crystal field gap", {"crystal_fields": {"gap": torch.zeros(3)}}),
    ],
)
def test_a_shape_that_does_not_fit_is_named(name, change):
    shapes = {
        "numbers": torch.ones(2, 3, dtype=torch.int64),
        "frac": torch.zeros(2, 3, 3),
        "lattice": torch.zeros(2, 3, 3),
        "n_atoms": torch.tensor([3, 3]),
    }
    with pytest.raises(UserError) as caught:
        Crystals(**(shapes | change))
    assert caught.value.where == name


@given(st.floats(-1e3, 1e3))
def test_wrap_lands_in_the_half_open_cell(value):
    wrapped = wrap(torch.tensor([value], dtype=torch.float64))
    assert 0.0 <= float(wrapped) < 1.0


def test_wrap_of_a_tiny_negative_value_is_zero():
    assert wrap(torch.tensor([-1e-18], dtype=torch.float64)).item() == 0.0
    assert wrap(torch.tensor([-1e-9], dtype=torch.float32)).item() == 0.0


def test_volume_does_not_depend_on_handedness(make_crystals):
    crystals = make_crystals(3)
    mirrored = Crystals(crystals.numbers, crystals.frac, -crystals.lattice, crystals.n_atoms)
    assert torch.allclose(mirrored.volume, crystals.volume)
    assert (crystals.volume > 0).all()


def test_no_crystals_at_all():
    empty = Crystals.from_lists([], [], [])
    assert len(empty) == 0
    assert len(Crystals.concatenate([])) == 0
    assert empty.mask.shape == (0, 0)
