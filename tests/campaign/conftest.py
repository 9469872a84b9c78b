"""A tiny reference in the energies of ASE's EMT, which relaxes a crystal in a moment."""

import pandas as pd
import pytest
import torch

from nucleate.config import DesignSettings, ScreenSettings
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference

EMT = "ase.calculators.emt:EMT"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """What is kept between runs goes into a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def metals(tmp_path_factory):
    """Copper and gold; fcc copper is a known structure. EMT's energies of the elements are 0 by construction."""
    folder = tmp_path_factory.mktemp("reference") / "metals"
    phases = pd.DataFrame(
        {
            "id": ["cu", "au", "cuau"],
            "formula": ["Cu", "Au", "CuAu"],
            "formation_energy": [0.0, 0.0, -0.05],
            "source": "test",
        }
    )
    fcc = torch.tensor([[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]])
    copper = Crystals.from_lists([[29]], [[[0.0, 0.0, 0.0]]], [fcc])
    Reference("metals", {29: 0.0, 79: 0.0}, phases, copper, ("cu",)).save(folder)
    return str(folder)


@pytest.fixture
def screening(metals):
    return ScreenSettings(potential=EMT, reference=metals, chunk_size=4, max_steps=200)


@pytest.fixture
def request_for(screening):
    def make(n=6, where=("chemical_system=Cu-Au", "n_atoms=2..4"), **more):
        return DesignSettings(model="random", n=n, where=where, screen=screening, **more)

    return make
