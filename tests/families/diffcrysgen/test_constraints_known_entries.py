"""What a request fixes, and that the walk keeps it exactly."""

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.edm import HeunSampler
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError
from nucleate.families.diffcrysgen.constraints import known_entries, meets
from nucleate.representations.ircr import IRCR, canonical

ENCODED = IRCR(3, 6)


def rutile():
    """Two formula units in canonical order: titanium first."""
    crystals = Crystals.from_lists(
        [[8, 22, 8, 22, 8, 8]], [[[0.1 * i, 0.2, 0.3] for i in range(6)]], [4 * torch.eye(3, dtype=torch.float64)]
    )
    return canonical(crystals)


@pytest.mark.parametrize("text", ["composition=TiO2", "chemical_system=O-Ti", "n_atoms=6"])
def test_known_entries_are_those_of_a_crystal_that_meets_the_request(text):
    matrix = ENCODED.encode(rutile())
    known = known_entries(ENCODED, Conditions.parse([text]), torch.tensor([6]))
    assert torch.equal(known.values[known.fixed], matrix[known.fixed])
    blocks = ENCODED.blocks
    whole = {letter for letter in "ELCO" if known.fixed[:, blocks[letter]].all()}
    assert whole == {"composition=TiO2": {"E", "O"}, "chemical_system=O-Ti": {"E"}, "n_atoms=6": set()}[text]


def test_sites_beyond_a_size_are_empty():
    known = known_entries(ENCODED, Conditions.parse(["n_atoms=2..4"]), torch.tensor([2, 4]))
    given = known.fixed[:, ENCODED.blocks["O"]].all(2)
    assert given.tolist() == [[False] * 2 + [True] * 4, [False] * 4 + [True] * 2]
    assert not known.values.any()


def test_nothing_is_known_without_a_request_or_with_subsystems():
    for where in (Conditions(), Conditions.parse(["chemical_system=O-Ti"], allow_subsystems=True)):
        assert not known_entries(ENCODED, where, torch.tensor([3])).fixed.any()


def test_known_entries_are_met_exactly():
    known = known_entries(ENCODED, Conditions.parse(["composition=TiO2"]), torch.tensor([3, 6]))
    denoiser = known.inpainted(lambda x, s: 0.3 * torch.ones_like(x), lambda m: 2 * m - 1)
    noise = KeyedNoise(0, torch.arange(2), dtype=torch.float64)
    found = HeunSampler(steps=10).sample(denoiser, (ENCODED.length, 3), noise)
    assert torch.equal(found[known.fixed], (2 * known.values - 1)[known.fixed])


def test_which_crystals_meet_a_request():
    numbers = torch.tensor([[22, 8, 8], [22, 22, 8], [22, 0, 0], [8, 22, 9], [0, 0, 0]])
    n_atoms = (numbers > 0).sum(1)
    expected = {
        "composition=TiO2": [True, False, False, False, False],
        "chemical_system=O-Ti": [True, True, False, False, False],
        "n_atoms=3": [True, True, False, True, False],
    }
    for text, answer in expected.items():
        assert meets(Conditions.parse([text]), numbers, n_atoms).tolist() == answer
    lax = Conditions.parse(["chemical_system=O-Ti"], allow_subsystems=True)
    assert meets(lax, numbers, n_atoms).tolist() == [True, True, True, False, False]
    assert meets(Conditions(), numbers, n_atoms).tolist() == [True, True, True, True, False]


def test_more_elements_than_columns_are_refused():
    with pytest.raises(UserError, match="4 elements; expected at most 3"):
        known_entries(ENCODED, Conditions.parse(["chemical_system=Li-Na-O-F"]), torch.tensor([4]))
