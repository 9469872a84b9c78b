"""A descriptor in one file: the mean atomic number."""

import torch

from nucleate.descriptors.registry import Descriptor, register


def mean_atomic_number(crystals):
    total = crystals.numbers.sum(1).double()
    return torch.where(crystals.n_atoms > 0, total / crystals.n_atoms, torch.nan)


MEAN = Descriptor("mean_atomic_number", "", "mean atomic number of the sites", mean_atomic_number)
register(MEAN)
