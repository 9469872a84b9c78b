"""Fitted element energies recover what made the data, whatever a few bad rows say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nucleate.errors import UserError
from nucleate.thermo.hull import fit_corrections, fit_element_energies, formation_energy

TRUE = {3: -1.9, 8: -4.9, 26: -8.3, 29: -3.7}


def rows(count: int, noise: float) -> tuple[list[dict[int, int]], np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    compositions: list[dict[int, int]] = []
    while len(compositions) < count:
        counts = generator.integers(0, 4, len(TRUE))
        if counts.sum():
            compositions.append({z: int(n) for z, n in zip(TRUE, counts, strict=True) if n})
    formation = generator.normal(-1, 0.5, count)
    reference = np.array([sum(n * TRUE[z] for z, n in c.items()) / sum(c.values()) for c in compositions])
    return compositions, formation + reference + noise * generator.standard_normal(count), formation


def test_exact_data_give_the_element_energies_back() -> None:
    fit = fit_element_energies(*rows(60, 0.0))
    assert fit.energies == pytest.approx(TRUE, abs=1e-6)
    assert fit.held_out_mae < 1e-6
    assert fit.rows[3] <= 60


def test_a_few_wrong_rows_do_not_matter() -> None:
    compositions, energies, formation = rows(200, 0.01)
    energies[::20] += 5.0
    fit = fit_element_energies(compositions, energies, formation)
    assert fit.energies == pytest.approx(TRUE, abs=0.02)
    assert 0.004 < fit.held_out_median < 0.02
    assert fit.held_out_mae > 0.2


def test_formation_energy_undoes_the_reference() -> None:
    assert formation_energy({3: 4, 8: 2}, -4.5, TRUE) == pytest.approx(-4.5 - (2 * -1.9 - 4.9) / 3)
    assert math.isnan(formation_energy({3: 1, 92: 1}, -4.5, TRUE))


def test_bad_rows_are_refused() -> None:
    with pytest.raises(UserError, match="row 1"):
        fit_element_energies([{3: 1}, {8: 1}], [1.0, math.nan], [0.0, 0.0])
    with pytest.raises(UserError, match="0 rows"):
        fit_element_energies([], [], [])


def test_corrections_leave_elements_where_they_are() -> None:
    corrections = {3: 0.2, 8: -0.1}
    assert formation_energy({3: 2}, -1.9, TRUE, corrections) == 0.0
    plain = formation_energy({3: 4, 8: 2}, -4.5, TRUE)
    x = 2 / 3  # Σ c x (1 - x) by hand
    assert formation_energy({3: 4, 8: 2}, -4.5, TRUE, corrections) == pytest.approx(plain + (0.2 - 0.1) * x * (1 - x))


def test_exact_data_give_the_corrections_back() -> None:
    compositions, energies, formation = rows(300, 0.0)
    kept = [i for i, composition in enumerate(compositions) if len(composition) > 1]
    compositions, found = [compositions[i] for i in kept], formation[kept]
    wanted = {3: 0.15, 8: -0.05, 26: 0.0, 29: 0.25}
    target = [
        formation_energy(c, e, TRUE, wanted) - formation_energy(c, e, TRUE) + f
        for c, e, f in zip(compositions, energies[kept], found, strict=True)
    ]
    fit = fit_corrections(compositions, found, target)
    assert fit.energies == pytest.approx(wanted, abs=2e-3)
    assert fit.held_out_mae < 1e-6


def test_an_element_of_one_row_is_hardly_corrected() -> None:
    compositions = [{3: 1, 8: 1}] * 50 + [{8: 1, 94: 1}]
    fit = fit_corrections(compositions, np.zeros(51), np.r_[np.zeros(50), 1.0])
    assert abs(fit.energies[94]) <= 2.0 + 1e-6  # half of what would reproduce the row
