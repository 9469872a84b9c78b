"""Conditions by name, and labels in other units."""

import warnings

import pytest
import torch

from nucleate.conditions.kinds import Scalar, fitted
from nucleate.conditions.quantities import NAMED, PLAUSIBLE, by_name, warn_of_units
from nucleate.errors import RequestWarning


def test_known_names_have_units_and_others_are_bare_numbers():
    assert by_name("band_gap").unit == "eV"
    assert by_name("space_group").kind == "categorical"
    assert by_name("hardness") == Scalar(name="hardness")
    assert set(PLAUSIBLE) <= set(NAMED)


def test_implausible_labels_are_warned_of_with_their_range():
    with pytest.warns(RequestWarning, match=r"mine.csv: band_gap reaches over 0\.\.3400, .* 0\.\.25 eV"):
        warn_of_units("band_gap", torch.tensor([0.0, 3400.0, torch.nan]), "mine.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_units("band_gap", torch.tensor([0.0, 9.0, torch.nan]), "mine.csv")
        warn_of_units("hardness", torch.tensor([1e9]), "mine.csv")
        warn_of_units("band_gap", torch.tensor([torch.nan]), "mine.csv")


def test_logarithms_are_compared_where_a_condition_says_so():
    modulus = fitted(by_name("bulk_modulus"), torch.tensor([1.0, 10.0, 100.0, torch.nan, -3.0], dtype=torch.float64))
    assert (modulus.mean, modulus.std) == (1.0, 1.0)
    assert (modulus.low, modulus.high) == (1.0, 100.0)
    z = modulus.standardised(torch.tensor([10.0, 1000.0, 0.0]))
    assert z[:2].tolist() == [0.0, 2.0]
    assert bool(z[2].isnan())
    assert bool(modulus.features(torch.tensor([0.0])).isfinite().all())
    assert by_name("bulk_modulus") == fitted(by_name("bulk_modulus"), torch.tensor([-1.0]))
