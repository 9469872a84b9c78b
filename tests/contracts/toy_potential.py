"""A potential in one file: pairs that attract at a distance and repel when close, the same for all elements."""

import torch

from nucleate.potentials.chgnet import build_bond_graph
from nucleate.potentials.potential import Evaluation
from nucleate.potentials.registry import POTENTIALS

CUTOFF = 6.0


class ToyPotential:
    """Lennard-Jones pairs, brought to zero smoothly at 6 Å.

    Arguments:
        depth: In eV.
    """

    outside_seconds = 0.0

    def __init__(self, depth=0.2):
        self.depth = depth

    def evaluate(self, crystals):
        b, n_max = crystals.numbers.shape
        if not b:
            nothing = torch.zeros(0, n_max, dtype=torch.float64)
            return Evaluation(nothing.new_zeros(0), nothing.new_zeros(0, n_max, 3), nothing.new_zeros(0, 3, 3), nothing)
        graph = build_bond_graph(crystals, CUTOFF, 0.0)
        with torch.enable_grad():
            vectors = graph.vectors.detach().requires_grad_()
            squares = vectors.square().sum(1)
            sixth = (2.5**2 / squares) ** 3
            pairs = 4 * self.depth * (sixth**2 - sixth) * (1 - squares / CUTOFF**2) ** 3
            (slope,) = torch.autograd.grad(pairs.sum(), vectors)
        owner = graph.owner[graph.first]
        energy = pairs.new_zeros(b).index_add_(0, owner, pairs.detach())
        of_sites = slope.new_zeros(len(graph.numbers), 3)
        of_sites.index_add_(0, graph.first, slope).index_add_(0, graph.second, -slope)
        forces = slope.new_zeros(b, n_max, 3)
        forces[crystals.mask] = of_sites
        virial = slope.new_zeros(b, 3, 3).index_add_(0, owner, vectors.detach()[:, :, None] * slope[:, None, :])
        unknown = torch.where(crystals.mask, torch.nan, 0.0).double()
        return Evaluation(energy, forces, virial / crystals.volume[:, None, None], unknown)


POTENTIALS.add("toy", ToyPotential)
