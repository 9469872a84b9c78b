"""Rows, lengths and classes of element pairs."""

import torch

from nucleate.crystal.elements import COVALENT_RADII, NUMBERS
from nucleate.descriptors.element_tables import (
    MAX_Z,
    N_CLASSES,
    N_PAIRS,
    pair_classes,
    pair_elements,
    pair_lengths,
    pair_rows,
)


def test_every_unordered_pair_has_one_row() -> None:
    z = torch.arange(1, MAX_Z + 1)
    rows = pair_rows(z[:, None], z[None, :])
    assert torch.equal(rows, rows.T)
    assert torch.equal(rows[torch.ones(MAX_Z, MAX_Z, dtype=torch.bool).tril()].sort().values, torch.arange(N_PAIRS))


def test_elements_of_a_row_give_the_row_back() -> None:
    low, high = pair_elements()
    assert (low <= high).all()
    assert torch.equal(pair_rows(low, high), torch.arange(N_PAIRS))


def test_lengths_are_sums_of_radii() -> None:
    row = int(pair_rows(torch.tensor(NUMBERS["O"]), torch.tensor(NUMBERS["Ti"])))
    assert float(pair_lengths()[row]) == COVALENT_RADII[8] + COVALENT_RADII[22]


def test_every_element_is_in_a_group_and_like_pairs_share_a_class() -> None:
    classes = pair_classes()
    assert (classes >= 0).all()
    assert classes.max() == N_CLASSES - 1

    def of(a: str, b: str) -> int:
        return int(classes[pair_rows(torch.tensor(NUMBERS[a]), torch.tensor(NUMBERS[b]))])

    assert of("Na", "Cl") == of("Br", "Sr")
    assert of("Na", "Cl") != of("Na", "O")
    assert of("Fe", "Fe") == of("Au", "Ti")
