"""Ties between sites against plain loops over the operations of a group."""

import numpy as np
import pytest
import torch

from nucleate.symmetry.orbits import SiteOrbits, metric_average

# p4 in three dimensions, written out: the rotations about c by 90 degrees, for column coordinates.
TURN = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
GROUP = torch.stack([torch.linalg.matrix_power(TURN, k) for k in range(4)])


@pytest.fixture
def orbits():
    """Four sites at a general place, one on the axis at (1/2, 1/2, z), one at padding."""
    eye, zero = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    axis = torch.zeros(3, 3, dtype=torch.float64)
    axis[2, 0] = 1
    half = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    return SiteOrbits(
        torch.tensor([[0, 0, 0, 0, 4, 5]]),
        torch.stack([*GROUP, eye, eye])[None],
        torch.stack([*GROUP.mT, eye, eye])[None],
        torch.zeros(1, 6, 3, dtype=torch.float64),
        torch.stack([eye, eye, eye, eye, axis, eye])[None],
        torch.stack([eye, eye, eye, eye, axis.T, eye])[None],
        torch.stack([eye, eye, eye, eye, GROUP.mean(0), eye])[None],
        torch.stack([zero, zero, zero, zero, half, zero])[None],
        metric_average(GROUP)[None],
    )


def test_positions_are_the_images_of_the_representative(orbits):
    free = torch.rand(1, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = orbits.positions(free)[0]
    for k in range(4):
        torch.testing.assert_close(found[k], GROUP[k] @ free[0, 0])
    assert found[4, :2].tolist() == [0.5, 0.5]
    assert float(found[4, 2]) == pytest.approx(float(free[0, 4, 0]))
    torch.testing.assert_close(orbits.constrained(found[None])[0], found)


def test_the_mean_over_the_group_is_that_of_a_loop(orbits):
    field = torch.randn(1, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # (g f)(x) = R f(R⁻¹ x): operation j takes site k of the general orbit to site k + j.
    plain = torch.stack([sum(GROUP[j] @ field[0, (k - j) % 4] for j in range(4)) / 4 for k in range(4)])
    found = orbits.averaged(field)[0]
    torch.testing.assert_close(found[:4], plain)
    torch.testing.assert_close(found[4], (GROUP @ field[0, 4]).mean(0))


def test_averaging_keeps_what_is_symmetric_and_is_a_projection(orbits):
    drawn = torch.randn(1, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    symmetric = orbits.vectors(drawn)
    torch.testing.assert_close(orbits.averaged(symmetric), symmetric)
    once = orbits.averaged(drawn)
    torch.testing.assert_close(orbits.averaged(once), once)


def test_drawn_vectors_have_unit_variance_where_they_are_free(orbits):
    generator = torch.Generator().manual_seed(3)
    drawn = torch.stack(
        [orbits.vectors(torch.randn(1, 6, 3, dtype=torch.float64, generator=generator)) for _ in range(4000)]
    )
    spread = drawn[:, 0].square().mean(0)
    torch.testing.assert_close(spread[:4], torch.ones(4, 3, dtype=torch.float64), atol=0.1, rtol=0)
    torch.testing.assert_close(spread[4], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), atol=0.1, rtol=0)


def test_the_nearest_symmetric_positions_are_the_least_squares_ones_whatever_the_image(orbits):
    generator = torch.Generator().manual_seed(6)
    exact = orbits.positions(torch.rand(1, 6, 3, dtype=torch.float64, generator=generator))
    off = 0.05 * torch.randn(1, 6, 3, dtype=torch.float64, generator=generator)
    cells = torch.randint(-2, 3, (1, 6, 3), generator=generator).double()
    found = orbits.nearest(exact + off + cells)
    torch.testing.assert_close(orbits.nearest(found), found)
    gap = found - exact
    torch.testing.assert_close(gap - gap.round(), orbits.averaged(off))
    # No other symmetric positions are nearer: the error is at right angles to every symmetric displacement.
    along = orbits.vectors(torch.randn(1, 6, 3, dtype=torch.float64, generator=generator))
    assert abs(float(((off - orbits.averaged(off))[:, :5] * along[:, :5]).sum())) < 1e-12


def test_metrics_are_the_mean_over_the_group(orbits):
    lattice = torch.randn(1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    metric = (lattice @ lattice.mT)[0].numpy()
    plain = np.mean([r.numpy().T @ metric @ r.numpy() for r in GROUP], axis=0)
    np.testing.assert_allclose(orbits.metrics(lattice)[0].numpy(), plain, atol=1e-12)
    torch.testing.assert_close(orbits.metrics(torch.linalg.cholesky(orbits.metrics(lattice))), orbits.metrics(lattice))


def test_where_and_padding_leave_free_sites_alone(orbits):
    free = torch.rand(1, 8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    wider = orbits.padded(8)
    torch.testing.assert_close(wider.positions(free)[:, :6], orbits.positions(free[:, :6]))
    torch.testing.assert_close(wider.positions(free)[:, 6:], free[:, 6:])
    untied = wider.where(torch.tensor([False]))
    assert torch.equal(untied.positions(free), free)
    assert torch.equal(untied.averaged(free), free)
    assert torch.equal(wider.where(torch.tensor([True])).first, wider.first)
