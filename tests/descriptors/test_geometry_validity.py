"""Validity against pymatgen's distances and densities, and its laws."""

import math

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.elements import COVALENT_RADII
from nucleate.descriptors.geometry import validity


def random_crystals(seed: int, count: int = 20) -> Crystals:
    rng = np.random.default_rng(seed)
    numbers, frac, lattices = [], [], []
    for _ in range(count):
        n = int(rng.integers(1, 8))
        numbers.append(rng.integers(1, 84, n).tolist())
        frac.append(rng.random((n, 3)).tolist())
        lattices.append((np.eye(3) * rng.uniform(3, 7) + rng.normal(0, 0.7, (3, 3))).tolist())
    return Crystals.from_lists(numbers, frac, lattices)


def test_matches_pymatgen() -> None:
    crystals = random_crystals(0)
    result = validity(crystals)
    for i in range(len(crystals)):
        z, x, cell = crystals.sites(i)
        structure = Structure(Lattice(cell.numpy()), z.tolist(), x.numpy())
        pairs = [(a, b, d) for a, b, _, d in zip(*structure.get_neighbor_list(9.0), strict=True)]
        distance = min(p[2] for p in pairs)
        fraction = min(d / (COVALENT_RADII[z[a]] + COVALENT_RADII[z[b]]) for a, b, d in pairs)
        assert float(result.min_distance[i]) == pytest.approx(distance, abs=1e-8)
        assert float(result.min_radii_fraction[i]) == pytest.approx(fraction, abs=1e-8)
        assert float(result.mass_density[i]) == pytest.approx(float(structure.density), rel=1e-3)
        assert bool(result.is_valid_lax[i]) == (distance > 0.5)
        assert bool(result.is_valid[i]) == (result.reasons[i] == "")
        inside = 0.01 <= structure.density <= 25 and len(structure) / structure.volume <= 0.5
        assert bool(result.is_valid[i]) == (fraction >= 0.5 and inside)


def test_batch_equals_single_and_ignores_translation_and_rotation() -> None:
    crystals = random_crystals(1)
    whole = validity(crystals)
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    moved = Crystals(
        crystals.numbers,
        torch.where(crystals.mask[..., None], wrap(crystals.frac + 0.37), 0.0),
        crystals.lattice @ rotation,
        crystals.n_atoms,
    )
    again = validity(moved)
    torch.testing.assert_close(again.min_radii_fraction, whole.min_radii_fraction)
    for i, one in enumerate(crystals):
        single = validity(one)
        torch.testing.assert_close(single.min_distance[0], whole.min_distance[i])
        assert single.reasons[0] == whole.reasons[i]


def test_rock_salt_is_valid() -> None:
    cell = (2.105 * (1 - np.eye(3))).tolist()
    result = validity(Crystals.from_lists([[12, 8]], [[[0, 0, 0], [0.5, 0.5, 0.5]]], [cell]))
    assert bool(result.is_valid[0])
    assert bool(result.is_valid_lax[0])
    assert float(result.min_distance[0]) == pytest.approx(2.105)
    assert float(result.mass_density[0]) == pytest.approx(3.59, abs=0.02)


@pytest.mark.parametrize(
    ("numbers", "frac", "cell", "word"),
    [
        ([3, 8], [[0, 0, 0], [0.1, 0, 0]], np.eye(3) * 4, "Li1-O2 at 0.40"),
        ([79], [[0, 0, 0]], np.eye(3) * 400, "density"),
        ([79], [[0, 0, 0]], np.eye(3) * 1.3, "Au1-Au1"),
        ([3], [[0, 0, 0]], np.eye(3) * math.nan, "not finite"),
        ([3], [[0, 0, 0]], np.zeros((3, 3)), "volume is zero"),
        ([3], [[0, math.inf, 0]], np.eye(3) * 3, "not finite"),
        ([3], [[0, 0, 0]], np.diag([1e-4, 100, 100]), "flat"),
        ([101], [[0, 0, 0]], np.eye(3) * 4, "Z = 1..96"),
    ],
)
def test_every_fault_has_its_reason(numbers: list[int], frac: list, cell: np.ndarray, word: str) -> None:
    good = ([12, 8], [[0, 0, 0], [0.5, 0.5, 0.5]], 2.105 * (1 - np.eye(3)))
    crystals = Crystals.from_lists([numbers, good[0]], [frac, good[1]], [cell.tolist(), good[2].tolist()])
    result = validity(crystals)
    assert result.is_valid.tolist() == [False, True]
    assert word in result.reasons[0]
    assert result.reasons[1] == ""


def test_no_crystals() -> None:
    assert len(validity(Crystals.from_lists([], [], [])).is_valid) == 0
