"""Our potentials and a toy keep the laws of a potential."""

import pytest
from toy_potential import ToyPotential

from nucleate.potentials import chgnet
from nucleate.potentials.chgnet import CHGNetPotential
from nucleate.potentials.potential import Evaluation
from nucleate.potentials.registry import POTENTIALS, load_potential
from nucleate.testing import BrokenLawError
from nucleate.testing.potentials import LAWS, PotentialCase, check_potential, metals


@pytest.fixture(scope="module")
def exact():
    """CHGNet in double precision."""
    read = chgnet._read_weights
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chgnet, "_read_weights", lambda: {k: v.double() for k, v in read().items()})
        return CHGNetPotential()


def test_every_potential_is_here():
    assert set(POTENTIALS.own) == {"chgnet", "torchsim"}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_chgnet_keeps(exact, law):
    law(PotentialCase(exact, metals()))


@pytest.mark.parametrize("choice", ["ase:emt", "toy,depth=0.3"])
def test_these_keep_all(choice):
    check_potential(load_potential(choice))


class Pressed(ToyPotential):
    """Stress of the other sign, as some codes have it."""

    def evaluate(self, crystals):
        found = super().evaluate(crystals)
        return Evaluation(found.energy, found.forces, -found.stress, found.magmoms)


class Weak(ToyPotential):
    """Half the forces."""

    def evaluate(self, crystals):
        found = super().evaluate(crystals)
        return Evaluation(found.energy, found.forces / 2, found.stress, found.magmoms)


class Shifted(ToyPotential):
    """An energy that is not extensive."""

    def evaluate(self, crystals):
        found = super().evaluate(crystals)
        return Evaluation(found.energy + 1, found.forces, found.stress, found.magmoms)


@pytest.mark.parametrize(
    ("potential", "text"),
    [(Pressed(), "the stress is not"), (Weak(), "forces are not"), (Shifted(), "another energy per atom")],
)
def test_what_breaks_a_law_is_named(potential, text):
    with pytest.raises(BrokenLawError, match=text):
        check_potential(potential)
