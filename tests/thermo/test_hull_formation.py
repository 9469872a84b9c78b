"""Fitted element energies recover what made the data, whatever a few bad rows say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nucleate.errors import UserError
from nucleate.thermo.hull import fit_element_energies, formation_energy

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
