"""The loss on compactness: its zero, its gradient, and which published variant has one."""

import pytest
import torch

from nucleate.diffusion.joint import Prediction, State
from nucleate.families.pigen.compactness import UPSTREAM, estimate_loss, upstream_loss

SIZE, N, S = 3, 4, 100


def probabilities(seed=0):
    return torch.softmax(
        3 * torch.randn(SIZE, N, S, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)), -1
    )


def lattices(seed=1):
    turn = torch.randn(SIZE, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return 5 * torch.eye(3, dtype=torch.float64) + 0.3 * turn


MASK = torch.tensor([[True] * 4, [True] * 3 + [False], [True] * 2 + [False] * 2])
TARGET = torch.tensor([0.6, 0.7, 0.5], dtype=torch.float64)
GATE = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)


def test_gradients_are_those_of_finite_differences():
    species, lattice = probabilities().requires_grad_(), lattices().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, cell: estimate_loss(p, cell, MASK, TARGET, GATE), (species, lattice))


def test_the_loss_knows_no_scale_and_is_zero_at_the_target():
    from nucleate.descriptors.geometry import expected_compactness

    species, lattice = probabilities(), lattices()
    own = expected_compactness(species, lattice, MASK)
    assert float(estimate_loss(species, lattice, MASK, own, GATE).abs().max()) < 1e-20
    twice, half = (estimate_loss(species, lattice, MASK, own * factor, GATE) for factor in (2.0, 0.5))
    torch.testing.assert_close(twice, half)
    torch.testing.assert_close(twice / GATE, torch.full_like(GATE, 2.0).log().square())


def test_what_is_not_known_counts_nothing_and_spoils_nothing():
    species, lattice = probabilities().requires_grad_(), lattices()
    loss = estimate_loss(species, lattice, MASK, torch.tensor([torch.nan, 0.7, 0.5], dtype=torch.float64), GATE)
    assert loss[0] == 0
    loss.sum().backward()
    assert species.grad.isfinite().all()
    assert not species.grad[0].any()


def published(variant, species, noise, cell, cell_noise, alpha, target):
    frac = torch.zeros(SIZE, N, 3, dtype=torch.float64)
    state, prediction = State(species, frac, cell, MASK), Prediction(noise, frac, cell_noise)
    return upstream_loss(variant, state, prediction, alpha, target)


@pytest.mark.parametrize(("variant", "through_species", "through_cell"), [
    ("noise", False, True), ("draft", False, False), ("types", True, False), ("full", True, True),
])  # fmt: skip
def test_gradients_of_the_published_variants(variant, through_species, through_cell):
    assert variant in UPSTREAM
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(SIZE, N, S, dtype=torch.float64, generator=generator).requires_grad_()
    cell_noise = torch.randn(SIZE, 9, dtype=torch.float64, generator=generator).requires_grad_()
    cell = lattices().flatten(1)
    loss = published(variant, probabilities(), noise, cell, cell_noise, GATE, TARGET)
    assert loss.shape == (SIZE,)
    assert loss.isfinite().all()
    if through_species or through_cell:
        loss.sum().backward()
    for value, expected in ((noise, through_species), (cell_noise, through_cell)):
        assert (value.grad is not None and bool(value.grad.any())) == expected


def test_the_later_variants_are_zero_where_the_estimate_is_the_crystal():
    """With the true noise the estimate of the clean crystal is exact, and so is its compactness."""
    generator = torch.Generator().manual_seed(4)
    numbers = torch.randint(10, 50, (SIZE, N), generator=generator)
    clean = torch.nn.functional.one_hot(numbers, S).double()
    lattice = lattices()
    from nucleate.descriptors.geometry import sphere_volumes

    filled = (torch.nan_to_num(sphere_volumes(S))[numbers] * MASK).sum(1)
    target = filled / torch.linalg.det(lattice).abs()
    alpha = torch.full((SIZE,), 0.6, dtype=torch.float64)
    noise = torch.randn(clean.shape, dtype=torch.float64, generator=generator)
    cell_noise = torch.randn(SIZE, 9, dtype=torch.float64, generator=generator)
    noisy = alpha.sqrt()[:, None, None] * clean + (1 - alpha).sqrt()[:, None, None] * noise
    cell = alpha.sqrt()[:, None] * lattice.flatten(1) + (1 - alpha).sqrt()[:, None] * cell_noise
    for variant in ("types", "full"):
        loss = published(variant, noisy, noise, cell, cell_noise, alpha, target)
        assert float(loss.abs().max()) < 1e-3
