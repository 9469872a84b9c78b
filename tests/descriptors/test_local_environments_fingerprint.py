"""Structure fingerprints: what no choice of cell may change, and the mean over all sites."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nucleate.descriptors.local_environments import structure_fingerprints
from nucleate.descriptors.order_parameters import MOTIF_NAMES
from nucleate.io.interop import from_pymatgen


def rutile() -> Structure:
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )


def rocksalt() -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize("make", [rutile, rocksalt])
def test_cell_rotation_order_origin_and_elements_change_nothing(make) -> None:
    rng = np.random.default_rng(0)
    plain = make()
    larger = plain.copy()
    larger.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    turned = Structure(
        Lattice(plain.lattice.matrix @ np.linalg.qr(rng.normal(size=(3, 3)))[0]), plain.species, plain.frac_coords
    )
    order = rng.permutation(len(plain))
    moved = Structure(plain.lattice, [plain[i].specie for i in order], (plain.frac_coords[order] + 0.21) % 1)
    named = plain.copy()
    named.replace_species(dict(zip(plain.elements, ("Sn", "F"), strict=True)))
    found = structure_fingerprints(from_pymatgen([plain, larger, turned, moved, named]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=2e-3, rtol=0)


def test_rocksalt_is_octahedral() -> None:
    found = structure_fingerprints(from_pymatgen([rocksalt()]))[0]
    octahedral = next(k for k, name in enumerate(MOTIF_NAMES) if name.startswith("octahedral"))
    assert found.argmax() == octahedral
    assert found[octahedral] > 0.99


def test_batch_is_single() -> None:
    both = from_pymatgen([rutile(), rocksalt()])
    together = structure_fingerprints(both)
    for i in range(2):
        torch.testing.assert_close(structure_fingerprints(both[[i]])[0], together[i])
    assert structure_fingerprints(both[[]]).shape == (0, len(MOTIF_NAMES))
