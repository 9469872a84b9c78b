"""The derivation: counts and potentials against plain Python, normalisation, held-out thresholds."""

import itertools
import math

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII
from nucleate.descriptors import spp
from nucleate.descriptors.element_tables import N_PAIRS, pair_rows
from nucleate.descriptors.proxy_potentials import FIRST_NODE, N_SCALED, SCALED_STEP, STEP, nodes
from nucleate.descriptors.spp import (
    BIN,
    BULK,
    CLASS_WEIGHT,
    CORE_LEVEL,
    FLOOR,
    N_BINS,
    SCALED_SMOOTHING,
    SMOOTHING,
    SMOOTHING_SHARE,
    PairCounts,
    count_pairs,
    derive_potentials,
    potentials,
    proxy_potential,
)
from nucleate.errors import UserError

NA, CL = 11, 17


def row_of(a: int, b: int) -> int:
    return int(pair_rows(torch.tensor(a), torch.tensor(b)))


def rock_salts(n: int, seed: int = 0) -> Crystals:
    """Primitive cells of NaCl with slightly different lattice parameters and a slightly moved chlorine."""
    rng = np.random.default_rng(seed)
    cells = [(5.6 + rng.normal(0, 0.05)) / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) for _ in range(n)]
    frac = [[[0, 0, 0], (0.5 + rng.normal(0, 0.01, 3)).tolist()] for _ in range(n)]
    return Crystals.from_lists([[NA, CL]] * n, frac, [cell.tolist() for cell in cells])


def plain_distribution(crystals: Crystals, i: int, a: int, b: int) -> list[float]:
    """g of one pair in one crystal, as in a textbook: neighbours b in the shells around each a over ρ_b times shell."""
    z, x, cell = (part.tolist() for part in crystals.sites(i))
    n_a, n_b, volume = z.count(a), z.count(b), abs(float(np.linalg.det(np.array(cell))))
    g = [0.0] * N_BINS
    for p, q in itertools.product(range(len(z)), repeat=2):
        if (z[p], z[q]) != (a, b):
            continue
        for shift in itertools.product(range(-5, 6), repeat=3):
            step = [x[q][k] + shift[k] - x[p][k] for k in range(3)]
            r = math.dist([0, 0, 0], [sum(step[k] * cell[k][m] for k in range(3)) for m in range(3)])
            if 1e-8 < r < N_BINS * BIN:
                k = int(r / BIN)
                shell = 4 / 3 * math.pi * (((k + 1) * BIN) ** 3 - (k * BIN) ** 3)
                g[k] += 1 / (n_a * n_b / volume * shell)
    return g


@pytest.fixture(scope="module")
def crystals() -> Crystals:
    return rock_salts(4)


@pytest.fixture(scope="module")
def plain(crystals) -> dict[tuple[int, int], list[float]]:
    pairs = [(NA, NA), (NA, CL), (CL, CL)]
    return {
        pair: [sum(column) for column in zip(*(plain_distribution(crystals, i, *pair) for i in range(4)), strict=True)]
        for pair in pairs
    }


def test_counts_are_textbook_distribution_functions(crystals, plain) -> None:
    found = count_pairs(crystals)
    for pair, expected in plain.items():
        torch.testing.assert_close(found.density[row_of(*pair)], torch.tensor(expected).double(), rtol=1e-5, atol=1e-5)
        assert int(found.samples[row_of(*pair)]) == 4
    assert int(found.samples.sum()) == 12
    assert float(found.density.sum()) == pytest.approx(sum(map(sum, plain.values())), rel=1e-5)


def test_the_potential_of_a_pair_is_the_formula(crystals, plain) -> None:
    """Averaging, bulk level, smoothing, class averages, shrinkage and logarithm, once more in plain Python."""
    table = potentials(count_pairs(crystals))
    centres = [BIN * (k + 0.5) for k in range(N_BINS)]
    bulk = [k for k, r in enumerate(centres) if BULK[0] < r < BULK[1]]
    own = {}
    for pair, total in plain.items():
        mean = [value / 4 for value in total]
        level = sum(mean[k] for k in bulk) / len(bulk)
        own[pair] = [value / level for value in mean]
    weight = 4 / (4 + CLASS_WEIGHT)

    def smooth(values: list[float], places: list[float], at: float, width: float) -> float:
        kernel = [math.exp(-0.5 * ((at - place) / width) ** 2) for place in places]
        return sum(k * v for k, v in zip(kernel, values, strict=True)) / sum(kernel)

    def scaled(pair: tuple[int, int], k: int) -> float | None:
        length = COVALENT_RADII[pair[0]] + COVALENT_RADII[pair[1]]
        if k * SCALED_STEP * length >= N_BINS * BIN:
            return None
        return smooth(own[pair], [r / length for r in centres], k * SCALED_STEP, SCALED_SMOOTHING)

    def class_value(pair: tuple[int, int], k: int) -> float:
        seen = [value for other in own if (value := scaled(other, k)) is not None]
        overall = (weight * sum(seen) + 1) / (weight * len(seen) + 1)
        mine = scaled(pair, k)  # the three pairs are of three classes
        return (
            CLASS_WEIGHT * overall / CLASS_WEIGHT
            if mine is None
            else ((weight * mine + CLASS_WEIGHT * overall) / (weight + CLASS_WEIGHT))
        )

    for pair in ((NA, CL), (CL, CL)):
        index = int((table.rows == row_of(*pair)).nonzero())
        length = COVALENT_RADII[pair[0]] + COVALENT_RADII[pair[1]]
        expected = []
        for node in range(0, len(nodes()), 5):
            r = STEP * (FIRST_NODE + node)
            place = min(r / length / SCALED_STEP, N_SCALED - 1)
            left = min(int(place), N_SCALED - 2)
            prior = class_value(pair, left) * (left + 1 - place) + class_value(pair, left + 1) * (place - left)
            g = (4 * smooth(own[pair], centres, r, max(SMOOTHING, SMOOTHING_SHARE * r)) + CLASS_WEIGHT * prior) / (
                4 + CLASS_WEIGHT
            )
            expected.append(-math.log((g + FLOOR) / (1 + FLOOR)))
        torch.testing.assert_close(table.curves[index][::5], torch.tensor(expected).double(), rtol=2e-3, atol=2e-3)


def test_a_gas_has_no_potential() -> None:
    """Uniform density in every bin: U = 0 at all distances, for seen and unseen pairs."""
    counts = PairCounts(torch.full((N_PAIRS, N_BINS), 50.0).double(), torch.full((N_PAIRS,), 50))
    table = potentials(counts)
    assert table.curves.abs().max() < 1e-6
    assert table.classes.abs().max() < 1e-6


def test_many_samples_outweigh_the_class_and_few_fall_back() -> None:
    few, many = count_pairs(rock_salts(2)), count_pairs(rock_salts(40))
    assert not len(potentials(few).rows)
    assert potentials(few).is_fallback.all()
    table = potentials(many)
    assert set(table.rows.tolist()) == {row_of(NA, NA), row_of(NA, CL), row_of(CL, CL)}
    u = table.energies(torch.full((900,), row_of(NA, CL)), torch.arange(1, 10, 0.01).double())
    assert 1 + 0.01 * int(u.argmin()) == pytest.approx(2.8, abs=0.1)
    nearest = int(table.joins[row_of(NA, CL)])
    assert 2.0 < float(nodes()[nearest]) < 2.8
    assert CORE_LEVEL < 1


def test_sums_and_differences_of_counts() -> None:
    a, b = count_pairs(rock_salts(3, seed=1)), count_pairs(rock_salts(5, seed=2))
    both = count_pairs(Crystals.concatenate([rock_salts(3, seed=1), rock_salts(5, seed=2)]))
    torch.testing.assert_close((a + b).density, both.density)
    torch.testing.assert_close((both - b).density, a.density)
    assert torch.equal((both - b).samples, a.samples)


def test_counts_do_not_depend_on_chunks_or_the_cell(monkeypatch) -> None:
    crystals = rock_salts(5)
    whole = count_pairs(crystals)
    monkeypatch.setattr(spp, "SITES_AT_ONCE", 4)
    torch.testing.assert_close(count_pairs(crystals).density, whole.density)
    double = Crystals.from_lists(
        [[NA, CL, NA, CL]] * 5,
        [
            torch.cat([x, x + torch.tensor([0.0, 0, 1]).double()]) / torch.tensor([1.0, 1, 2]).double()
            for x in crystals.frac
        ],
        torch.diag(torch.tensor([1.0, 1, 2]).double()) @ crystals.lattice,
    )
    found = count_pairs(double)
    # A distance on the edge of a bin may fall on either side of it.
    torch.testing.assert_close(found.density.cumsum(1)[:, ::20], whole.density.cumsum(1)[:, ::20], rtol=0.02, atol=0.5)
    assert torch.equal(found.samples, whole.samples)


def test_broken_crystals_take_no_part() -> None:
    good = rock_salts(3)
    broken = Crystals(good.numbers, good.frac, good.lattice * torch.nan, good.n_atoms)
    heavy = Crystals(torch.full_like(good.numbers, 99), good.frac, good.lattice, good.n_atoms)
    found = count_pairs(Crystals.concatenate([broken, good, heavy]))
    torch.testing.assert_close(found.density, count_pairs(good).density)


def test_the_threshold_is_the_quantile_of_held_out_scores() -> None:
    crystals = rock_salts(40)
    stages = []
    table = derive_potentials(crystals, {"origin": "made up"}, lambda *at: stages.append(at))
    held_out = []
    for k in range(10):
        rest = [i for i in range(40) if i % 10 != k]
        held_out += proxy_potential(crystals[k::10], potentials(count_pairs(crystals[rest]))).score.tolist()
    assert table.thresholds["all"] == pytest.approx(np.quantile(held_out, 0.95), abs=1e-4)
    assert table.details["origin"] == "made up"
    assert stages[-1] == ("scoring", 40, 40)


def test_too_few_crystals_are_one_clear_line() -> None:
    with pytest.raises(UserError, match="crystals"):
        derive_potentials(rock_salts(5))
