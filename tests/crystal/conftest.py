"""Random crystals for the laws, and real ones where they lie beside the checkout."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest
import torch

from nucleate.crystal.crystals import Crystals


def build_crystals(seed: int, n_crystals: int = 3, n_max: int = 8) -> Crystals:
    """Crystals of random size, species, cell and coordinates, no two sites closer than about 0.6 Å."""
    rng = np.random.default_rng(seed)
    numbers, frac, lattice = [], [], []
    for _ in range(n_crystals):
        n = int(rng.integers(1, n_max + 1))
        shape = np.diag(rng.uniform(3.0, 9.0, 3)) + rng.uniform(-1.2, 1.2, (3, 3))
        slots = rng.permutation(64)[:n]  # a 4 x 4 x 4 grid, each site within its own cell
        grid = np.stack([slots // 16, slots // 4 % 4, slots % 4], axis=1)
        numbers.append(rng.integers(1, 95, n).tolist())
        frac.append(((grid + rng.uniform(0.2, 0.6, (n, 3))) / 4).tolist())
        lattice.append(shape.tolist())
    return Crystals.from_lists(numbers, frac, lattice)


def assert_same(first: Crystals, second: Crystals, tolerance: float = 1e-9) -> None:
    """Equal sites in equal order; coordinates are compared modulo whole cells."""
    assert torch.equal(first.n_atoms, second.n_atoms)
    assert torch.equal(first.numbers, second.numbers)
    delta = first.frac - second.frac
    assert (delta - delta.round()).abs().max() <= tolerance
    assert (first.lattice - second.lattice).abs().max() <= 10 * tolerance


@pytest.fixture(scope="session")
def make_crystals():
    return build_crystals


@pytest.fixture(scope="session")
def same_crystals():
    return assert_same


@pytest.fixture(scope="session")
def real_cifs(shared_data) -> pd.DataFrame:
    """The validation rows of the Materials Project sample, ``cif`` text included."""
    content = gzip.decompress((shared_data / "mp" / "val.csv.gz").read_bytes())
    return pd.read_csv(io.BytesIO(content))
