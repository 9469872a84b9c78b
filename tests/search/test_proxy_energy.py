"""The cheap energy against the sum it stands for, and its gradient against differences."""

import numpy as np
import pytest
import torch

from nucleate.crystal.periodic import neighbors
from nucleate.descriptors.element_tables import cell_volume, pair_rows
from nucleate.descriptors.spp import shipped_table
from nucleate.search.cell_priors import drawn, separations
from nucleate.search.proxy_energy import CONTACT_STIFFNESS, FADE, REACH, VOLUME_SPREAD, ProxyEnergy
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.wyckoff_parametrization import layout

LABELS = ("A2BC4_cF56_227_c_b_e:Al-Mg-O", "A2B_mP12_14_2e_e:O-Zr", "AB_hP4_186_b_b:S-Zn", "A_hR9_166_ac:Te")


def _drawn(label: str, count: int = 2):
    protostructure = Protostructure.parse(label)
    energy = ProxyEnergy(layout(protostructure))
    rng = np.random.default_rng(3)
    return energy, *drawn(energy.layout, protostructure.space_group, energy.log_volume, count, rng)


@pytest.mark.parametrize("label", LABELS)
def test_gradient_is_that_of_the_energy(label: str) -> None:
    energy, free, strain = _drawn(label)
    pairs = energy.pairs(free, strain)
    x = torch.cat([free, strain], 1)
    n_free, step = free.shape[1], 1e-6
    _, gradient = energy.gradient(free, strain, pairs)
    for k in range(0, x.shape[1], 3):
        moved = torch.zeros_like(x)
        moved[:, k] = step
        up, down = (energy.gradient(here[:, :n_free], here[:, n_free:], pairs)[0] for here in (x + moved, x - moved))
        torch.testing.assert_close(gradient[:, k], (up - down) / (2 * step), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("label", LABELS)
def test_energy_is_the_mean_over_all_sites(label: str) -> None:
    energy, free, strain = _drawn(label)
    value, _ = energy.gradient(free, strain, energy.pairs(free, strain))
    crystals = energy.layout.crystals(free, strain)
    numbers = crystals.numbers[0]
    counts = {int(z): int((numbers == z).sum()) for z in numbers.unique()}
    smallest = separations(counts)
    found = neighbors(crystals, REACH)
    first, second = numbers[found.first], numbers[found.second]
    limit = torch.tensor([smallest[min(a, b), max(a, b)] for a, b in zip(first.tolist(), second.tolist(), strict=True)])
    length = found.distance
    usual = shipped_table().energies(pair_rows(first, second), torch.maximum(length, limit))
    fade = 0.5 * (1 + torch.cos(torch.pi * ((length - REACH + FADE) / FADE).clamp(0, 1)))
    each = 0.5 * (usual * fade + 0.5 * CONTACT_STIFFNESS * (limit - length).clamp_min(0).square())
    total = torch.zeros(len(crystals), dtype=torch.float64).index_add(0, found.crystal, each)
    # Cubics round off the kink at the smallest distance.
    excess = (crystals.volume / cell_volume(counts)).log() / VOLUME_SPREAD
    torch.testing.assert_close(
        value, total / len(numbers) + 0.5 * excess**2, rtol=1e-3, atol=0.05
    )  # kinks at the limit


def test_closest_is_the_smallest_contact() -> None:
    from nucleate.descriptors.geometry import validity

    energy, free, strain = _drawn(LABELS[0], 8)
    closest = energy.closest(free, strain, energy.pairs(free, strain))
    torch.testing.assert_close(closest, validity(energy.layout.crystals(free, strain)).min_radii_fraction)


def test_drawn_cells_have_about_the_volume_expected() -> None:
    for label in LABELS:
        energy, _, strain = _drawn(label, 200)
        volume = torch.linalg.det(energy.layout.lattice(strain)).abs().log()
        assert float(volume.mean()) == pytest.approx(energy.log_volume, abs=0.03)
        assert float(volume.std()) == pytest.approx(0.08, abs=0.02)
