import math
import time
import warnings

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import NUMBERS
from nucleate.descriptors import local_environments as module
from nucleate.descriptors.local_environments import (
    Environments,
    _entropy,
    _gaussians,
    _paper,
    _published,
    local_environment_diversity,
    local_environments,
)
from nucleate.errors import UserError


def crystals(*structures):
    return Crystals.from_lists(
        [s.atomic_numbers for s in structures],
        [s.frac_coords for s in structures],
        [s.lattice.matrix.copy() for s in structures],
    )


FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def rock_salt(a=5.64):
    return Structure(Lattice.cubic(a), ["Na"] * 4 + ["Cl"] * 4, np.concatenate([FCC, FCC + 0.5]))


def zinc_blende():
    return Structure(Lattice.cubic(5.41), ["Zn"] * 4 + ["S"] * 4, np.concatenate([FCC, FCC + 0.25]))


def copper():
    return Structure(Lattice.cubic(3.61), ["Cu"] * 4, FCC)


def caesium_chloride():
    return Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def spinel(a=8.08, x=0.2624):
    """The primitive cell of MgAl2O4."""
    oxygen = np.array([[x, x, x], [x, x, 0.5 - 3 * x], [x, 0.5 - 3 * x, x], [0.5 - 3 * x, x, x]])
    metal = np.concatenate([[[0.125] * 3, [-0.125] * 3, [0.5] * 3], FCC[1:]])
    cell = Lattice(a * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]))
    return Structure(cell, ["Mg"] * 2 + ["Al"] * 4 + ["O"] * 8, np.concatenate([metal, oxygen, -oxygen]))


CHECK_VALUES = [
    (rock_salt, 6.3047),
    (zinc_blende, 6.4399),
    (copper, 6.2344),
    (caesium_chloride, 6.8425),
]


@pytest.mark.parametrize(("make", "expected"), CHECK_VALUES)
def test_check_values(make, expected):
    assert local_environment_diversity(crystals(make())).item() == pytest.approx(expected, abs=1e-9)


def with_motifs(motifs, numbers):
    """One crystal whose sites have these motifs, elements, and no neighbours."""
    sites = torch.arange(len(motifs))
    found = Environments(
        torch.zeros_like(sites),
        sites,
        torch.ones_like(sites),
        torch.tensor(motifs),
        torch.zeros(len(motifs), 120, dtype=torch.bool),
    )
    return Crystals.from_lists([numbers], [[[0.0, 0, 0]] * len(numbers)], [np.eye(3)]), found


def test_one_single_bond():
    assert _published(*with_motifs([0], [1])).item() == pytest.approx(5.9630, abs=1e-9)


def test_every_motif_and_every_element():
    numbers = [z for z in range(1, 87) if z != 52]
    batch, found = with_motifs([i % 37 for i in range(len(numbers))], numbers)
    found = found._replace(multiplicity=torch.tensor([1 if i < 37 else 0 for i in range(len(numbers))]))
    # Elements of sites of multiplicity 0 are given as neighbours of the first site instead.
    elements = found.elements.clone()
    elements[0, numbers] = True
    # Every second slot of the motifs is never used, so that 7.302 bits over all 159 slots are out of reach.
    assert _published(batch, found._replace(elements=elements)).item() == pytest.approx(7.2348 + 5.2095, abs=1e-9)
    assert _entropy(torch.ones(1, 159, dtype=torch.float64) @ _gaussians(159)).item() == pytest.approx(7.302, abs=5e-4)
    assert _entropy(torch.ones(1, 37, dtype=torch.float64)).item() == pytest.approx(5.209, abs=5e-4)


def test_published_counts_each_index_once_and_skips_tellurium():
    both, tellurium = with_motifs([18, 18], [11, 52]), with_motifs([18], [11])
    assert _published(*both).item() == _published(*tellurium).item()
    assert math.isnan(_published(*with_motifs([18], [52])).item())
    assert math.isfinite(_paper(*with_motifs([18], [52])).item())


def test_paper_variant_is_the_printed_formula():
    batch, found = with_motifs([3, 3, 10], [8, 52, 84])
    found.elements[0, [1, 84]] = True
    slots = np.arange(122)
    gauss = lambda i, n: np.exp(-((np.arange(n) - i) ** 2) / 200)  # noqa: E731
    p = sum(gauss(i, 122) for i in [3, 37 + 7, 37, 37 + 83, 3, 37 + 51, 10, 37 + 83])
    s = sum(gauss(i, 37) for i in (3, 3, 10))
    entropy = lambda x: -sum(x / x.sum() * np.log2(x / x.sum()))  # noqa: E731
    assert len(slots) == len(p)
    assert _paper(batch, found).item() == pytest.approx(entropy(p) + entropy(s), abs=1e-12)


def test_entropy_of_nothing_is_undefined():
    assert _entropy(torch.zeros(1, 4, dtype=torch.float64)).isnan().all()
    assert _entropy(torch.ones(1, 8, dtype=torch.float64)).item() == pytest.approx(3.0)


@pytest.mark.parametrize("variant", ["published", "paper"])
def test_invariances_and_batching(variant):
    s = spinel()
    moved = s.copy()
    moved.translate_sites(range(len(s)), [0.13, 0.27, 0.31])
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = Structure(Lattice(s.lattice.matrix @ rotation), s.species[::-1], s.frac_coords[::-1])
    large = rock_salt().make_supercell([2, 1, 1], in_place=False)
    batch = crystals(s, moved, turned, s.make_supercell([1, 1, 2], in_place=False), rock_salt(), large)
    values = local_environment_diversity(batch, variant)
    torch.testing.assert_close(values[:4], values[0].expand(4), atol=1e-9, rtol=0)
    assert values[4].item() == pytest.approx(values[5].item(), abs=1e-9)
    single = torch.cat([local_environment_diversity(one, variant) for one in batch])
    torch.testing.assert_close(single, values, atol=1e-12, rtol=0)


def test_orbits_change_nothing(monkeypatch):
    batch = crystals(spinel(), rock_salt())
    found, values = local_environments(batch), local_environment_diversity(batch)
    assert found.multiplicity.tolist() == [2, 4, 8, 4, 4]
    monkeypatch.setattr(module, "symmetries", lambda crystals, symprec: [None] * len(crystals))
    assert len(local_environments(batch).site) == len(spinel()) + len(rock_salt())
    torch.testing.assert_close(local_environment_diversity(batch), values, atol=1e-12, rtol=0)


def test_bad_input_is_not_a_number_and_never_hangs():
    nan = float("nan")
    lone = Structure(Lattice.cubic(100), ["He"], [[0, 0, 0]])
    doubled = Structure(Lattice.cubic(5), ["Na", "Na", "Cl"], [[0, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5]])
    dense = Structure(Lattice.cubic(1.0), ["H"] * 200, np.random.default_rng(0).random((200, 3)))
    bad = Crystals.concatenate(
        [
            crystals(lone, doubled, dense),
            Crystals.from_lists([[11]], [[[nan, 0, 0]]], [np.eye(3) * 4]),
            Crystals.from_lists([[11]], [[[0.0, 0, 0]]], [np.zeros((3, 3))]),
            Crystals.from_lists([[11]], [[[0.0, 0, 0]]], [np.full((3, 3), nan)]),
            Crystals.from_lists([[11]], [[[0.0, 0, 0]]], [np.diag([0.005, 50.0, 50.0])]),
            Crystals.from_lists([[]], [[]], [np.eye(3)]),
            Crystals.from_lists([[120]], [[[0.0, 0, 0]]], [np.eye(3) * 4]),
            crystals(copper()),
        ]
    )
    start = time.monotonic()
    values = local_environment_diversity(bad)
    assert values[:-1].isnan().all()
    assert values[-1].item() == pytest.approx(6.2344)
    assert time.monotonic() - start < 30


def test_one_atom_noble_gases_and_large_cells_have_values():
    argon = Structure(Lattice(2.65 * (1 - np.eye(3))), ["Ar"], [[0, 0, 0]])
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(-1, 3)[:200] / 6
    many = Structure(Lattice.cubic(16), ["Si"] * 200, grid + rng.normal(size=(200, 3)) * 0.01)
    assert local_environment_diversity(crystals(argon, many)).isfinite().all()


def test_open_structures():
    """A layer, a chain and a molecule in vacuum: values of the authors' procedure with matminer 0.10.1."""
    layer = Structure(Lattice.hexagonal(2.46, 40), ["C"] * 2, [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]])
    chain = Structure(Lattice.tetragonal(18, 3), ["S", "Se"], [[0, 0, 0], [0.05, 0.02, 0.5]])
    hydrogen = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.045
    molecule = Structure(Lattice.cubic(14), ["C"] + ["H"] * 4, [[0, 0, 0], *hydrogen])
    values = local_environment_diversity(crystals(layer, chain, molecule))
    assert values.tolist() == pytest.approx([6.202, 6.346, 7.0566], abs=1e-9)


def test_empty_batch_and_unknown_variant():
    assert local_environment_diversity(Crystals.from_lists([], [], [])).shape == (0,)
    with pytest.raises(UserError, match="variant"):
        local_environment_diversity(crystals(copper()), "upstream")


@pytest.mark.slow
def test_equal_to_the_library():
    """The authors' procedure with matminer and pymatgen, on crystals with and without symmetry."""
    fingerprints = pytest.importorskip("matminer.featurizers.site")
    from pymatgen.core.local_env import CrystalNN

    featurizer = fingerprints.OPSiteFingerprint()
    neighbours = CrystalNN(distance_cutoffs=None, x_diff_weight=0, porous_adjustment=False, search_cutoff=12)
    rng = np.random.default_rng(3)
    random = Structure(
        Lattice(np.eye(3) * 4.4 + rng.normal(size=(3, 3)) * 0.4), ["Li", "O", "Te", "U"], rng.random((4, 3))
    )
    structures = [random, spinel()]
    batch = crystals(*structures)
    found = local_environments(batch)
    for crystal, site, motif, elements in zip(
        found.crystal.tolist(), found.site.tolist(), found.motif.tolist(), found.elements, strict=True
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = featurizer.featurize(structures[crystal], site)
            kinds = neighbours.get_cn_dict(structures[crystal], site)
        assert motif == int(np.argmax(expected))
        assert set(elements.nonzero().flatten().tolist()) == {NUMBERS[kind] for kind in kinds}
