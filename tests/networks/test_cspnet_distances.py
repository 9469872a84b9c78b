"""Distance features against pymatgen's neighbours."""

import math

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from nucleate.networks.cspnet import image_basis

CUTOFF, K = 3.5, 8


def by_neighbours(structure, i, j):
    """The definition, over the neighbours that pymatgen finds within the cutoff."""
    centres = np.linspace(0.5, CUTOFF, K)
    width = (CUTOFF - 0.5) / K
    total = np.zeros(K)
    for neighbour in structure.get_neighbors(structure[i], CUTOFF):
        if neighbour.index == j:
            d = neighbour.nn_distance
            total += np.exp(-0.5 * ((d - centres) / width) ** 2) * 0.5 * (math.cos(math.pi * d / CUTOFF) + 1)
    return total


def test_sums_over_all_images_within_the_cutoff():
    """In reduced cells whose faces lie more than two thirds of the cutoff apart one cell each way holds all images."""
    rng = np.random.default_rng(0)
    for lattice in (
        Lattice.cubic(3.6),
        Lattice.hexagonal(3.2, 5.0),
        Lattice.from_parameters(3.4, 3.9, 4.4, 80, 95, 102),
    ):
        frac = rng.random((3, 3))
        structure = Structure(lattice, ["Na"] * 3, frac)
        cell = torch.tensor(lattice.matrix.copy())[None]
        for i in range(3):
            for j in range(3):
                difference = torch.tensor(frac[j] - frac[i])[None, None]
                found = image_basis(difference, cell, K, CUTOFF)[0, 0].numpy()
                np.testing.assert_allclose(found, by_neighbours(structure, i, j), atol=1e-9)


def test_the_features_vanish_at_the_cutoff_and_ignore_whole_cells():
    cell = 20 * torch.eye(3, dtype=torch.float64)[None]
    near = torch.tensor([[[(CUTOFF - 1e-6) / 20, 0, 0], [CUTOFF / 20 + 0.01, 0, 0]]], dtype=torch.float64)
    assert float(image_basis(near, cell, K, CUTOFF).max()) < 1e-9
    one = torch.tensor([[[0.05, 0.1, 0.02]]], dtype=torch.float64)
    torch.testing.assert_close(image_basis(one + 3, cell, K, CUTOFF), image_basis(one, cell, K, CUTOFF))
    torch.testing.assert_close(image_basis(-one, cell, K, CUTOFF), image_basis(one, cell, K, CUTOFF))
