"""Elements that replace others in training crystals."""

from collections import Counter

import pytest
import torch

from nucleate.diffusion.noise import GeneratorNoise
from nucleate.families.wyckoffdiff.batch import replaced, replacements

from .conftest import TINY, fitted


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def test_only_elements_alike_replace_each_other():
    table = replacements(100)
    assert torch.allclose(table, table.mT)
    assert not table.diagonal().any()
    assert table[19, 37] > 0  # K and Rb
    assert table[57, 60] > 0  # La and Nd
    assert table[17, 35] > 0  # Cl and Br
    assert table[8, 7] == table[11, 17] == table[26, 8] == 0


def test_one_element_changes_everywhere_and_the_rest_stays():
    numbers = torch.tensor([[19, 35, 0], [8, 26, 8], [20, 38, 8]]).repeat(2000, 1)
    sites = torch.tensor([[19, 35, 35, 0], [26, 8, 8, 8], [20, 8, 38, 8]]).repeat(2000, 1)
    seen = torch.ones(100)
    new, moved, changed = replaced(numbers, sites, seen, 0.5, noise())
    assert torch.equal(new == 0, numbers == 0)
    for before, after, row in ((numbers, new, changed), (sites, moved, changed)):
        assert torch.equal((before != after).any(1), row)
    drawn = Counter()
    for i in range(len(numbers)):
        exchanged = {(a, b) for a, b in zip(numbers[i].tolist(), new[i].tolist(), strict=True) if a != b}
        assert exchanged == {(a, b) for a, b in zip(sites[i].tolist(), moved[i].tolist(), strict=True) if a != b}
        assert len(exchanged) == int(changed[i])
        assert len(set(new[i].tolist())) == len(set(numbers[i].tolist()))
        drawn.update(exchanged)
    weights = replacements(100)[19]
    found = torch.tensor([drawn[(19, z)] for z in range(101)]).double()
    assert torch.allclose(found / found.sum(), weights / weights.sum(), atol=0.06)


def test_only_elements_that_were_seen_come_in():
    numbers = torch.tensor([[19, 9]]).repeat(200, 1)
    seen = torch.zeros(100)
    seen[10] = 1.0  # Na
    new, _, changed = replaced(numbers, numbers, seen, 1.0, noise())
    assert set(new.flatten().tolist()) <= {9, 11, 19}
    assert changed.any()
    assert not replaced(numbers, numbers, torch.zeros(100), 1.0, noise())[2].any()


@pytest.mark.parametrize("weighting", ["orbits", "hidden"])
def test_losses_with_replacements(data, weighting):
    model, ready = fitted({**TINY, "replaced": 1.0, "weighting": weighting}, data)
    before = ready.orbits.numbers.clone()
    with torch.no_grad():
        losses = model(ready, noise())["total"]
    assert torch.isfinite(losses).all()
    assert torch.equal(ready.orbits.numbers, before)
