"""Crystals of known symmetry."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.io.interop import from_pymatgen

# Space group (first choice of origin), cell, species and coordinates of one site per orbit.
KNOWN = {
    225: (Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
    216: (Lattice.cubic(5.65), ["Ga", "As"], [[0, 0, 0], [0.25] * 3]),
    227: (Lattice.cubic(8.083), ["Mg", "Al", "O"], [[0.25] * 3, [0.625] * 3, [0.3874] * 3]),
    221: (Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
    136: (Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
    141: (Lattice.tetragonal(3.785, 9.514), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.208]]),
    167: (Lattice.hexagonal(4.759, 12.991), ["Al", "O"], [[0, 0, 0.3522], [0.3064, 0, 0.25]]),
    186: (Lattice.hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]]),
    62: (
        Lattice.orthorhombic(10.33, 6.01, 4.69),
        ["Li", "Fe", "P", "O", "O", "O"],
        [[0, 0, 0], [0.282, 0.25, 0.975], [0.095, 0.25, 0.418], [0.097, 0.25, 0.743], [0.457, 0.25, 0.206],
         [0.166, 0.046, 0.285]],
    ),
    14: (
        Lattice.monoclinic(5.15, 5.21, 5.32, 99.2),
        ["Zr", "O", "O"],
        [[0.275, 0.04, 0.208], [0.07, 0.33, 0.345], [0.45, 0.757, 0.479]],
    ),
}  # fmt: skip


def known_structures() -> list[Structure]:
    return [Structure.from_spacegroup(number, *rest) for number, rest in KNOWN.items()]


@pytest.fixture(scope="session")
def known() -> tuple[Crystals, torch.Tensor]:
    """Conventional cells and their space groups."""
    return from_pymatgen(known_structures()), torch.tensor(list(KNOWN))


def rotations(rng: np.random.Generator, n: int) -> torch.Tensor:
    q, r = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[:, None]
    return torch.from_numpy(q * np.sign(np.linalg.det(q))[:, None, None])


def described_otherwise(crystals: Crystals, seed: int) -> tuple[Crystals, list[np.ndarray], torch.Tensor]:
    """The same crystals turned, shifted and with their sites permuted; with the orders and the turns."""
    rng = np.random.default_rng(seed)
    turns = rotations(rng, len(crystals))
    orders = [rng.permutation(n) for n in crystals.n_atoms.tolist()]
    shift = torch.from_numpy(rng.random((len(crystals), 1, 3)))
    frac = wrap(crystals.frac + shift) * crystals.mask[..., None]
    numbers = crystals.numbers.clone()
    for i, order in enumerate(orders):
        numbers[i, : len(order)] = numbers[i, order]
        frac[i, : len(order)] = frac[i, order]
    return Crystals(numbers, frac, crystals.lattice @ turns, crystals.n_atoms), orders, turns


def noisy(crystals: Crystals, seed: int, size: float, strain: float) -> Crystals:
    """Sites moved by about ``size`` Å, the cell strained."""
    generator = torch.Generator().manual_seed(seed)
    shape = crystals.frac.shape
    moved = size * torch.randn(shape, dtype=torch.float64, generator=generator) @ torch.linalg.inv(crystals.lattice)
    stretch = strain * torch.randn(len(crystals), 3, 3, dtype=torch.float64, generator=generator)
    frac = wrap(crystals.frac + moved) * crystals.mask[..., None]
    return Crystals(crystals.numbers, frac, crystals.lattice + crystals.lattice @ stretch, crystals.n_atoms)


@pytest.fixture(scope="session")
def otherwise():
    return described_otherwise


@pytest.fixture(scope="session")
def shaken():
    return noisy


@pytest.fixture(scope="session")
def real_crystals(shared_data) -> Crystals:
    from nucleate.io.files import read_structures

    return read_structures(shared_data / "mp" / "val.csv.gz").crystals
