"""Shares of sites against plain counting."""

import math

import pytest
import torch

from nucleate.families.diffcsp.stoichiometry import EDGES, PRIOR_SITES, SHARES, leaning, species_by_share

NUMBERS = torch.tensor([[3, 3, 8, 0], [3, 8, 8, 8], [1, 1, 1, 1], [3, 8, 0, 0]])


def bin_of(share):
    return sum(share >= edge for edge in EDGES)


def test_the_table_is_that_of_plain_counting():
    rows = [[z for z in row if z] for row in NUMBERS.tolist()]
    sites = [(z, bin_of(row.count(z) / len(row))) for row in rows for z in row]
    table = species_by_share(NUMBERS, NUMBERS > 0, 10)
    for z in (1, 3, 8, 5):
        own = [column for number, column in sites if number == z]
        for column in range(SHARES):
            overall = (sum(c == column for _, c in sites) + 1) / (len(sites) + SHARES)
            given = (own.count(column) + PRIOR_SITES * overall) / (len(own) + PRIOR_SITES)
            assert float(table[z - 1, column]) == pytest.approx(math.log(given / overall), abs=1e-5)


def test_an_unseen_species_says_nothing():
    assert float(species_by_share(NUMBERS, NUMBERS > 0, 10)[4].abs().max()) < 1e-6


def test_classes_lean_by_their_share():
    table = torch.arange(10.0 * SHARES).reshape(10, SHARES)
    classes = torch.tensor([[0, 0, 0, 1], [0, 1, -1, -1]])
    found = leaning(table, classes)
    assert found.shape == (2, 2, 10)
    assert torch.equal(found[0, 0], table[:, bin_of(0.75)])
    assert torch.equal(found[0, 1], table[:, bin_of(0.25)])
    assert torch.equal(found[1, 0], table[:, bin_of(0.5)])
