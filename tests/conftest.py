"""Fixtures shared by tests of several folders."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.settings import DesignSettings, ScreenSettings

# The same examples in every run, and no deadline: the machines that run this differ widely.
settings.register_profile("nucleate", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("nucleate")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real structures beside the checkout; tests that want it skip where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "mp" / "train.csv.gz").exists():
        pytest.skip("needs the Materials Project sample beside the checkout")
    return folder


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


def _prototypes() -> list[Structure]:
    cubic = Lattice.cubic
    return [
        Structure.from_spacegroup("Fm-3m", cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure.from_spacegroup("Pm-3m", cubic(2.6), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure.from_spacegroup("F-43m", cubic(4.6), ["Mg", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
        Structure.from_spacegroup(
            "P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
        ),
        Structure.from_spacegroup(
            "I4_1/amd", Lattice.tetragonal(3.78, 9.51), ["Ti", "O"], [[0, 0.75, 0.125], [0, 0.75, 0.333]]
        ),
        Structure.from_spacegroup("Pm-3m", cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
    ]


def _disguised(structure: Structure, seed: int) -> Structure:
    """The same crystal: permuted, translated, rotated, in another cell."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    copy = structure.get_primitive_structure() if seed % 2 else structure.copy()
    copy.make_supercell([[1, seed % 3, 0], [0, 1, 0], [0, 0, 1 + seed % 2]])
    order = rng.permutation(len(copy))
    return Structure(
        Lattice(copy.lattice.matrix @ rotation),
        [copy[i].specie for i in order],
        (copy.frac_coords[order] + rng.random(3)) % 1,
    )


def _noisy(structure: Structure, seed: int, strength: float) -> Structure:
    rng = np.random.default_rng(seed)
    copy = structure.copy()
    strain = np.eye(3) + rng.normal(0, strength / 8, (3, 3))
    moves = rng.normal(0, strength, (len(copy), 3)) @ np.linalg.inv(copy.lattice.matrix)
    return Structure(Lattice(copy.lattice.matrix @ strain), copy.species, copy.frac_coords + moves)


@pytest.fixture(scope="session")
def prototypes() -> Callable:
    return _prototypes


@pytest.fixture(scope="session")
def disguised() -> Callable:
    return _disguised


@pytest.fixture(scope="session")
def noisy() -> Callable:
    return _noisy


def build_crystals(seed: int, n_crystals: int = 3, n_max: int = 8) -> Crystals:
    """Crystals of random size, species, cell and coordinates, no two sites closer than about 0.6 Å."""
    rng = np.random.default_rng(seed)
    numbers, frac, lattice = [], [], []
    for _ in range(n_crystals):
        n = int(rng.integers(1, n_max + 1))
        shape = np.diag(rng.uniform(3.0, 9.0, 3)) + rng.uniform(-1.2, 1.2, (3, 3))
        slots = rng.permutation(64)[:n]  # a 4 x 4 x 4 grid, each site within its own cell
        grid = np.stack([slots // 16, slots // 4 % 4, slots % 4], axis=1)
        numbers.append(rng.integers(1, 95, n).tolist())
        frac.append(((grid + rng.uniform(0.2, 0.6, (n, 3))) / 4).tolist())
        lattice.append(shape.tolist())
    return Crystals.from_lists(numbers, frac, lattice)


def assert_same(first: Crystals, second: Crystals, tolerance: float = 1e-9) -> None:
    """Equal sites in equal order; coordinates are compared modulo whole cells."""
    assert torch.equal(first.n_atoms, second.n_atoms)
    assert torch.equal(first.numbers, second.numbers)
    delta = first.frac - second.frac
    assert (delta - delta.round()).abs().max() <= tolerance
    assert (first.lattice - second.lattice).abs().max() <= 10 * tolerance


@pytest.fixture(scope="session")
def make_crystals():
    return build_crystals


@pytest.fixture(scope="session")
def same_crystals():
    return assert_same


@pytest.fixture(scope="session")
def real_cifs(shared_data) -> pd.DataFrame:
    """The validation rows of the Materials Project sample, ``cif`` text included."""
    content = gzip.decompress((shared_data / "mp" / "val.csv.gz").read_bytes())
    return pd.read_csv(io.BytesIO(content))
