"""Likeness: symmetric, bounded, and in the order that mined substitution probabilities give."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from nucleate.crystal.elements import NUMBERS
from nucleate.descriptors.element_similarity import likeness
from nucleate.search.cell_priors import DEFAULT_ELEMENTS


def test_symmetric_and_bounded() -> None:
    for a in DEFAULT_ELEMENTS[::5]:
        assert likeness(a, a) == 1
        for b in DEFAULT_ELEMENTS[::7]:
            assert likeness(a, b) == pytest.approx(likeness(b, a))
            assert 0 < likeness(a, b) <= 1


@pytest.mark.parametrize(
    ("a", "near", "far"), [("K", "Rb", "Cl"), ("Fe", "Co", "O"), ("S", "Se", "W"), ("La", "Nd", "Si")]
)
def test_neighbours_are_nearer(a: str, near: str, far: str) -> None:
    assert likeness(NUMBERS[a], NUMBERS[near]) > 10 * likeness(NUMBERS[a], NUMBERS[far])


def test_ranks_as_mined_substitutions_do() -> None:
    """Rank correlation with the pair correlations of ions mined by Hautier et al. (2011), as pymatgen carries them.

    Theirs are of ions and ours of elements, so the agreement is a moderate one.
    """
    from pymatgen.core.structure_prediction.substitution_probability import SubstitutionProbability

    model = SubstitutionProbability()
    ours, mined = [], []
    for pair in model._l:
        species = tuple(pair)
        if len(species) == 2 and all(s.Z in DEFAULT_ELEMENTS for s in species) and species[0].Z != species[1].Z:
            ours.append(np.log(likeness(species[0].Z, species[1].Z)))
            mined.append(model.pair_corr(*species))
    assert spearmanr(ours, mined).statistic > 0.4
