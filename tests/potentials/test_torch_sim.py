"""Models of TorchSim are potentials like others, and ours are models of TorchSim."""

import sys

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials.chgnet import CHGNetPotential
from nucleate.potentials.potential import CalculatorFaultError, TooManyBondsError
from nucleate.potentials.registry import CHGNET_SCALE, load_potential, provenance_of, scale_of
from nucleate.testing.potentials import check_potential, metals

LENNARD_JONES = (
    "torchsim,model=torch_sim.models.lennard_jones:LennardJonesModel,sigma=2.2,epsilon=0.2,cutoff=8.0,"
    "dtype=float64,compute_forces=true,compute_stress=true,use_neighbor_list=true"
)


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_sim", None)
    monkeypatch.delitem(sys.modules, "nucleate.potentials.torch_sim", raising=False)
    for ask in (load_potential, provenance_of):
        with pytest.raises(UserError, match=r"no module 'torch_sim'.*pip install 'nucleate\[torchsim\]'"):
            ask("torchsim")


def test_energies_are_on_the_scale_of_what_computes_them():
    assert scale_of("torchsim") == scale_of("torchsim,model=chgnet,device=cuda,batch_sites=9") == CHGNET_SCALE
    assert scale_of("torchsim,model=a:B,size=2,device=cuda") == 'torchsim,model="a:B",size=2'


@pytest.fixture
def models():
    """The module, where TorchSim is installed."""
    pytest.importorskip("torch_sim", reason="TorchSim is not installed")
    from nucleate.potentials import torch_sim

    return torch_sim


def test_chgnet_has_its_numbers_in_any_batch(models):
    crystals = metals()
    crystals = Crystals(crystals.numbers, crystals.frac, crystals.lattice.clone(), crystals.n_atoms)
    crystals.lattice[1, 0] *= -1  # a left-handed cell
    want = CHGNetPotential().evaluate(crystals)
    for batch_sites in (1, 3, 100):
        found = load_potential(f"torchsim,device=cpu,batch_sites={batch_sites}").evaluate(crystals)
        for name in ("energy", "forces", "stress", "magmoms"):
            torch.testing.assert_close(getattr(found, name), getattr(want, name), atol=2e-5, rtol=0)


def test_a_run_states_both_versions(models):
    found = provenance_of("torchsim,device=cpu")
    assert str(found).startswith(f"{CHGNET_SCALE} (chgnet ")
    assert "torch-sim-atomistic" in found.version
    assert found.work == "chgnet"


def test_the_way_through_torch_sims_states_keeps_the_laws(models):
    potential = load_potential("torchsim,device=cpu")
    potential.model = models.PotentialModel(load_potential("ase:emt"))
    check_potential(potential)


def test_a_model_of_torch_sims_own_is_made_from_keywords(models):
    found = load_potential(LENNARD_JONES).evaluate(metals())
    assert found.energy.isfinite().all()
    assert found.forces.dtype == torch.float64
    assert not found.forces[0, 1:].any()
    assert found.magmoms[metals().mask].isnan().all()


def test_a_potential_as_a_model_passes_torch_sims_own_checks(models):
    from torch_sim.models.interface import validate_model_outputs

    model = models.PotentialModel(CHGNetPotential())
    validate_model_outputs(model, torch.device("cpu"), torch.float64)


class Picky:
    """Gives no answer for gold, and says so in one of three ways."""

    outside_seconds = 0.0

    def __init__(self, fault):
        self.fault, self.chgnet = fault, CHGNetPotential()

    def evaluate(self, crystals):
        if (crystals.numbers == 79).any():
            raise self.fault
        return self.chgnet.evaluate(crystals)


@pytest.mark.parametrize("fault", [TooManyBondsError("dense"), CalculatorFaultError("no")])
def test_a_crystal_without_an_answer_leaves_the_others_alone(models, fault):
    model = models.PotentialModel(Picky(fault))
    crystals = metals()
    found = model(models.state_of(crystals, model))
    assert found["energy"].isnan().tolist() == [False, True, True]
    assert found["forces"].isnan().all(1).tolist() == [False] + [True] * 6


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ("torchsim,model=nowhere:Model", "No module named 'nowhere'"),
        ("torchsim,model=torch_sim:Nothing", "Nothing"),
        ("torchsim,model=collections:OrderedDict", "a model of TorchSim that computes stresses"),
        ("torchsim,cutoff=3", "keyword argument 'cutoff' for chgnet"),
        ("torchsim,batch_sites=0", "batch_sites=0"),
    ],
)
def test_a_wrong_choice_is_the_users_mistake(models, choice, text):
    with pytest.raises(UserError, match=text):
        load_potential(choice)


def test_another_interpreter_cannot_run_it(models):
    with pytest.raises(UserError, match="built in"):
        load_potential("torchsim", sys.executable)


def test_batches_hold_few_sites_or_one_crystal(models):
    assert models.batches([3, 4, 9, 2, 2], 7) == [[0, 1], [2], [3, 4]]
    assert models.batches([], 7) == []
