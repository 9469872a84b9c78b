"""What cannot be a crystal is a reason; what can be comes through unchanged and in order."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure, batched
from nucleate.crystal.periodic import minimum_distances
from nucleate.io import validation
from nucleate.io.validation import OVERLAP, validate

seeds = st.integers(0, 2**32 - 1)


def _raws(crystals):
    return [ParsedStructure(*(value.numpy() for value in crystals.sites(i))) for i in range(len(crystals))]


def _cubic(frac, numbers=None, a=4.0):
    frac = np.array(frac, dtype=float).reshape(-1, 3)
    return ParsedStructure(np.array(numbers or [26] * len(frac), dtype=np.int64), frac, np.eye(3) * a)


@given(seeds)
def test_batching_keeps_every_site(make_crystals, same_crystals, seed):
    crystals = make_crystals(seed)
    same_crystals(batched(_raws(crystals)), crystals, 0.0)


@given(seeds, st.lists(st.integers(0, 6), max_size=4, unique=True))
def test_rows_point_back_to_the_input(make_crystals, seed, broken):
    entries = list(_raws(make_crystals(seed, 7)))
    for row in broken:
        entries[row] = "a reason"
    validated = validate(entries)
    assert set(validated.reasons) == set(broken)
    assert sorted([*validated.rows, *validated.reasons]) == list(range(7))
    for k, row in enumerate(validated.rows):
        assert np.array_equal(validated.crystals.sites(k)[0].numpy(), entries[row].numbers)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (_cubic([]), "no atoms"),
        (_cubic([[0, 0, np.nan]]), "finite"),
        (_cubic([[0, np.inf, 0]]), "finite"),
        (_cubic([[0, 0, 0]], a=np.nan), "finite"),
        (_cubic([[0, 0, 0]], a=0.0), "lattice vectors"),
        (_cubic([[0, 0, 0]], a=1e6), "lattice vectors"),
        (ParsedStructure(np.array([1]), np.zeros((1, 3)), np.array([[4, 0, 0], [4, 0, 0], [0, 0, 4.0]])), "flat"),
        (_cubic([[0, 0, 0]], [0]), "unknown element"),
        (_cubic([[0, 0, 0]], [104]), "unknown element"),
        (_cubic([[0.1, 0.2, 0.3], [0.1, 0.2, 0.31]]), r"Fe \(site 1\) and Fe \(site 2\) are 0.040 Å"),
        (_cubic([[0.001, 0, 0], [0.999, 0, 0]]), "overlapping"),
        (_cubic(np.random.default_rng(0).random((MAX_SITES + 1, 3)), a=100.0), "20,001 sites"),
    ],
)
def test_each_fault_has_its_reason(raw, reason):
    sound = _cubic([[0, 0, 0], [0.5, 0.5, 0.5]])
    validated = validate([sound, raw, sound])
    assert validated.rows == [0, 2]
    assert len(validated.crystals) == 2
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(validated.reasons[1])


@given(seeds, st.floats(0.02, 0.3))
def test_overlaps_are_found_exactly_in_small_and_large_cells(make_crystals, seed, distance):
    rng = np.random.default_rng(seed)
    crystals = make_crystals(seed, 1, 6)
    numbers, frac, lattice = (value.numpy() for value in crystals.sites(0))
    direction = rng.normal(size=3)
    twin = frac[0] + (distance * direction / np.linalg.norm(direction)) @ np.linalg.inv(lattice)
    raw = ParsedStructure(np.append(numbers, 8), np.vstack([frac, twin]), lattice)
    shortest = float(minimum_distances(batched([raw])).min())
    if abs(shortest - OVERLAP) < 1e-9:
        return
    assert bool(validate([raw]).reasons) == (shortest < OVERLAP)
    assert (validation._close_pair(raw.frac % 1.0, lattice) is not None) == (shortest < OVERLAP)


def test_large_crystals_are_checked_too():
    grid = np.stack(np.meshgrid(*[np.arange(8) / 8] * 3, indexing="ij"), -1).reshape(-1, 3)
    assert not validate([_cubic(grid, a=24.0)]).reasons
    doubled = np.vstack([grid, grid[-1] + 0.001])
    assert "overlapping" in validate([_cubic(doubled, a=24.0)]).reasons[0]


def test_one_large_crystal_cannot_blow_up_a_large_batch(monkeypatch):
    monkeypatch.setattr(validation, "MAX_SLOTS", 10_000)
    large = _cubic(np.random.default_rng(0).random((1500, 3)), a=60.0)
    validated = validate([_cubic([[0, 0, 0]])] * 20 + [large])
    assert "1,500 sites; at most 1,000" in validated.reasons[20]
    assert validated.crystals.numbers.shape[1] == 1


def test_coordinates_are_wrapped():
    frac = batched([_cubic([[-0.25, 1.5, -1e-18]])]).frac
    assert frac.tolist() == [[[0.75, 0.5, 0.0]]]
    assert frac.dtype == torch.float64


@pytest.mark.parametrize("frac", [7.2e25, -1e7])
def test_coordinates_without_digits_are_refused(frac):
    validated = validate([_cubic([[frac, 0.0, 0.0]])])
    assert "fractional coordinate" in validated.reasons[0]


def test_cells_of_any_length_are_refused_quietly(recwarn):
    validated = validate([ParsedStructure(np.array([3]), np.zeros((1, 3)), np.diag([1e308, 4.0, 4.0]))])
    assert "lattice vectors" in validated.reasons[0]
    assert not recwarn


def test_thousands_of_atoms_at_one_place_cost_nothing():
    start = time.process_time()
    assert "0.000 Å apart" in validate([_cubic(np.full((MAX_SITES, 3), 0.25))]).reasons[0]
    assert time.process_time() - start < 5
