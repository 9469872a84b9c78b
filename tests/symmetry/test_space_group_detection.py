"""What is not searched for symmetry, so that no crystal can hold up a run."""

import torch

from nucleate.crystal.crystals import Crystals
from nucleate.symmetry.space_group import search


def test_a_flat_cell_is_not_searched():
    """Such cells, which a sampler may give, keep the library busy for minutes."""
    generator = torch.Generator().manual_seed(2)
    flat = [[[6.2, 0.3, 0.0], [0.1, 6.5, 0.0], [0.0, 0.0, height]] for height in (1e-12, 0.1, 0.5, 0.83, 0.99)]
    frac = [torch.rand(4, 3, generator=generator).tolist() for _ in flat]
    crystals = Crystals.from_lists([[26] * 4] * len(flat), frac, flat)
    assert list(search(crystals)) == [None] * len(flat)


def test_a_slanted_cell_is_reduced_before_it_is_called_flat():
    cell = torch.eye(3, dtype=torch.float64) * 3.0
    slanted = torch.tensor([[1.0, 0, 0], [7, 1, 0], [0, 5, 1]], dtype=torch.float64) @ cell
    crystals = Crystals.from_lists([[84]], [[[0.0, 0.0, 0.0]]], [slanted.tolist()])
    (found,) = search(crystals)
    assert found.number == 221


def test_a_wide_tolerance_is_lowered_for_close_contacts():
    # A boride as MagGen drew it, contacts of 1.15 Å: at 0.3 Å the library does not come back from it.
    frac = [[0.0177, 0.9914, 0.4713], [0.9566, 0.986, 0.0186], [0.3564, 0.5841, 0.2298],
            [0.3387, 0.5771, 0.7596], [0.5723, 0.2714, 0.0974], [0.6843, 0.4019, 0.7405]]  # fmt: skip
    lattice = [[2.4438, 0.0, 0.0], [-1.4037, 2.0005, 0.0], [-0.402, -0.776, 6.4527]]
    crystal = Crystals.from_lists([[40, 22, 5, 5, 5, 5]], [frac], [torch.tensor(lattice, dtype=torch.float64)])
    (found,) = search(crystal, 0.3)
    assert found is not None
    assert found.symprec <= 0.2 * 1.2
