"""Drawn compositions obey the request; the prior follows the table."""

import numpy as np
import pytest

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import NOBLE_GASES
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.element_tables import ATOMIC_VOLUMES, cell_volume
from nucleate.errors import UserError
from nucleate.search.cell_priors import DEFAULT_ELEMENTS, ELEMENT_SHARES, SIZE_SHARES, draw_composition, sizes


def test_default_elements() -> None:
    assert len(DEFAULT_ELEMENTS) == 76
    assert not set(DEFAULT_ELEMENTS) & (NOBLE_GASES | {43, 61})
    assert all(ATOMIC_VOLUMES[z] > 0 for z in DEFAULT_ELEMENTS)
    assert sum(SIZE_SHARES) == pytest.approx(1, abs=1e-3)
    assert sum(ELEMENT_SHARES) == pytest.approx(1, abs=1e-3)


def test_unconditional_draws_are_balanced_and_small() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = draw_composition(rng, Conditions())
        assert counts is not None
        assert 1 <= sum(counts.values()) <= 20
        assert is_charge_balanced(counts)
        assert set(counts) <= set(DEFAULT_ELEMENTS)


def test_sizes_of_a_large_formula() -> None:
    choices, shares = sizes(Conditions.parse(["composition=Li7La3Zr2O12"]))
    assert choices.tolist() == [24]
    assert shares.tolist() == [1]
    choices, _ = sizes(Conditions.parse(["composition=Li7La3Zr2O12", "n_atoms=20..100"]))
    assert choices.tolist() == [24, 48, 72, 96]


def test_a_demand_that_nothing_meets() -> None:
    assert draw_composition(np.random.default_rng(0), Conditions(), lambda counts: False) is None


def test_volumes() -> None:
    assert cell_volume({38: 1, 22: 1, 8: 3}) == pytest.approx(3.905**3, rel=0.2)  # SrTiO3
    assert cell_volume({3: 4, 8: 2}) == 2 * cell_volume({3: 2, 8: 1})
    with pytest.raises(UserError, match="Po"):
        cell_volume({84: 1})
