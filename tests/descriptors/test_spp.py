"""Scores: against a plain computation, and the laws of cells, batches and broken input."""

import itertools
import math

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.descriptors.element_tables import pair_rows
from nucleate.descriptors.proxy_potentials import CUTOFF, IMAGES
from nucleate.descriptors.spp import proxy_potential, shipped_table
from nucleate.errors import UserError


def build(seed: int, sizes: tuple[int, ...] = (1, 2, 3, 5), box: float = 5.0) -> Crystals:
    rng = np.random.default_rng(seed)
    numbers = [rng.integers(1, 90, n).tolist() for n in sizes]
    frac = [rng.random((n, 3)).tolist() for n in sizes]
    lattice = [(np.diag(rng.uniform(0.6, 1.4, 3)) * box + rng.uniform(-1, 1, (3, 3))).tolist() for _ in sizes]
    return Crystals.from_lists(numbers, frac, lattice)


def plain_score(crystals: Crystals, i: int, images: str) -> float:
    """The definition in loops, with more images than can matter."""
    table = shipped_table()
    z, x, cell = (part.tolist() for part in crystals.sites(i))
    energies: list[float] = []
    count = 0.0
    shifts = list(itertools.product(range(-6, 7), repeat=3))
    for a, b in itertools.combinations_with_replacement(range(len(z)), 2):
        distances = []
        for shift in shifts:
            step = [x[b][k] - x[a][k] + shift[k] for k in range(3)]
            vector = [sum(step[k] * cell[k][m] for k in range(3)) for m in range(3)]
            r = math.sqrt(sum(v * v for v in vector))
            if r > 1e-8:
                distances.append(r)
        if images == "minimum":
            distances = [min(distances)] if a != b or len(z) == 1 else []
        elif a == b:
            distances = sorted(distances)[::2]  # +R and -R are one pair
        row = pair_rows(torch.tensor(z[a]), torch.tensor(z[b]))
        energies += [float(table.energies(row, torch.tensor(r, dtype=torch.float64))) for r in distances if r < CUTOFF]
        for r in distances:
            fading = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, (r - 9) / 2))))
            count += 1 if images == "minimum" else fading
    return sum(energies) / count


@pytest.mark.parametrize("images", IMAGES)
def test_scores_are_the_definition(images) -> None:
    crystals = build(0, (1, 2, 3))
    found = proxy_potential(crystals, images=images).score
    for i in range(len(crystals)):
        assert float(found[i]) == pytest.approx(plain_score(crystals, i, images), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("images", IMAGES)
def test_batch_equals_single_and_order_does_not_matter(images) -> None:
    crystals = build(1, (4, 1, 6, 2, 3))
    whole = proxy_potential(crystals, images=images)
    for i in range(len(crystals)):
        alone = proxy_potential(crystals[i], images=images)
        torch.testing.assert_close(alone.score[0], whole.score[i])
        torch.testing.assert_close(alone.fallback_share[0], whole.fallback_share[i])
    order = torch.tensor([2, 0, 4, 1, 3])
    torch.testing.assert_close(proxy_potential(crystals[order], images=images).score, whole.score[order])


@pytest.mark.parametrize("images", IMAGES)
def test_rotations_translations_site_order_and_skewed_cells_change_nothing(images) -> None:
    crystals = build(2)
    score = proxy_potential(crystals, images=images).score
    rotation = torch.linalg.qr(torch.from_numpy(np.random.default_rng(3).normal(size=(3, 3)))).Q
    turned = Crystals(crystals.numbers, crystals.frac, crystals.lattice @ rotation, crystals.n_atoms)
    torch.testing.assert_close(proxy_potential(turned, images=images).score, score)
    moved = Crystals.from_lists(
        [crystals.sites(i)[0].flip(0).tolist() for i in range(len(crystals))],
        [crystals.sites(i)[1].flip(0) + torch.tensor([0.3, -0.7, 0.45]).double() for i in range(len(crystals))],
        crystals.lattice,
    )
    torch.testing.assert_close(proxy_potential(moved, images=images).score, score)
    skew = torch.tensor([[1, 2, 0], [0, 1, 0], [1, -1, 1]], dtype=torch.float64)
    other = Crystals.from_lists(
        [crystals.sites(i)[0].tolist() for i in range(len(crystals))],
        [crystals.sites(i)[1] @ torch.linalg.inv(skew) for i in range(len(crystals))],
        skew @ crystals.lattice,
    )
    torch.testing.assert_close(proxy_potential(other, images=images).score, score)


def test_a_supercell_scores_the_same_where_all_images_count() -> None:
    crystals = build(4, (1, 2, 3))
    double = Crystals.from_lists(
        [crystals.sites(i)[0].repeat(2).tolist() for i in range(3)],
        [
            torch.cat([crystals.sites(i)[1], crystals.sites(i)[1] + torch.tensor([1.0, 0, 0]).double()])
            / torch.tensor([2.0, 1, 1]).double()
            for i in range(3)
        ],
        torch.diag(torch.tensor([2.0, 1, 1], dtype=torch.float64)) @ crystals.lattice,
    )
    a, b = proxy_potential(crystals), proxy_potential(double)
    torch.testing.assert_close(a.score, b.score)
    torch.testing.assert_close(a.fallback_share, b.fallback_share)


@pytest.mark.parametrize("images", IMAGES)
def test_a_score_changes_smoothly_as_an_atom_moves(images) -> None:
    """No jumps: halving the step halves every change."""
    numbers, cell = [11, 17, 8], torch.diag(torch.tensor([5.0, 5.6, 6.1], dtype=torch.float64))
    start = torch.tensor([[0.0, 0, 0], [0.4, 0.1, 0.2], [0.1, 0.5, 0.6]], dtype=torch.float64)

    def scores(n: int) -> torch.Tensor:
        moved = start.repeat(n, 1, 1)
        moved[:, 1, 0] += torch.linspace(0, 0.2, n, dtype=torch.float64)
        return proxy_potential(Crystals.from_lists([numbers] * n, list(moved), [cell] * n), images=images).score

    coarse, fine = scores(201).diff().abs().max(), scores(401).diff().abs().max()
    assert 0.4 < float(fine / coarse) < 0.6


@pytest.mark.parametrize("images", IMAGES)
def test_what_is_undefined_is_nan_and_harms_no_other(images) -> None:
    good = build(5, (3,))
    nan_cell = Crystals(good.numbers, good.frac, good.lattice * torch.nan, good.n_atoms)
    flat = Crystals(good.numbers, good.frac, good.lattice * torch.tensor([[1.0], [1.0], [0.0]]), good.n_atoms)
    heavy = Crystals(torch.full_like(good.numbers, 100), good.frac, good.lattice, good.n_atoms)
    empty = Crystals.from_lists([[]], [[]], [torch.eye(3)])
    crowd = Crystals.from_lists([[1] * 200], [torch.rand(200, 3)], [torch.eye(3)])
    found = proxy_potential(Crystals.concatenate([nan_cell, good, flat, heavy, empty, crowd]), images=images)
    assert found.score.isnan().tolist() == [True, False, True, True, True, True]
    assert found.fallback_share.isnan().tolist() == [True, False, True, True, True, True]
    torch.testing.assert_close(found.score[1], proxy_potential(good, images=images).score[0])
    assert len(proxy_potential(good[[]], images=images).score) == 0


@pytest.mark.parametrize("images", IMAGES)
def test_coinciding_atoms_and_float32_score_high(images) -> None:
    cell = 5 * torch.eye(3)
    crystal = Crystals.from_lists([[11, 17]], [[[0, 0, 0], [1e-4, 0, 0]]], [cell], dtype=torch.float32)
    score = proxy_potential(crystal, images=images).score
    assert score.dtype == torch.float64
    assert score[0] > 10 * shipped_table().thresholds[images]


def test_an_unseen_pair_is_a_fallback() -> None:
    seen = Crystals.from_lists([[11, 17]], [[[0, 0, 0], [0.5, 0.5, 0.5]]], [4.0 * torch.eye(3)])
    unseen = Crystals.from_lists([[2, 84]], [[[0, 0, 0], [0.5, 0.5, 0.5]]], [4.0 * torch.eye(3)])
    assert float(proxy_potential(seen).fallback_share[0]) == 0
    found = proxy_potential(unseen)
    assert float(found.fallback_share[0]) == 1
    assert found.score.isfinite().all()


def test_another_variant_is_refused() -> None:
    with pytest.raises(UserError, match="images"):
        proxy_potential(build(0), images="some")


@pytest.mark.parametrize("images", IMAGES)
def test_real_crystals_pass_and_shuffled_ones_score_worse(shared_data, images) -> None:
    real = load_dataset(shared_data / "mp" / "val.csv.gz").crystals[:200]
    generator = torch.Generator().manual_seed(0)
    numbers = real.numbers.clone()
    for i in range(len(real)):
        n = int(real.n_atoms[i])
        numbers[i, :n] = numbers[i, torch.randperm(n, generator=generator)]
    shuffled = Crystals(numbers, real.frac, real.lattice, real.n_atoms)
    changed = (numbers != real.numbers).any(1)
    threshold = shipped_table().thresholds[images]
    a, b = proxy_potential(real, images=images).score, proxy_potential(shuffled, images=images).score
    assert (a <= threshold).double().mean() > 0.91
    assert (b <= threshold)[changed].double().mean() < 0.35
    assert (b > a)[changed].double().mean() > 0.9
