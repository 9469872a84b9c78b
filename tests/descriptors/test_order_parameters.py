import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, PeriodicSite
from pymatgen.core.local_env import CN_OPT_PARAMS, LocalStructOrderParams

from nucleate.descriptors.order_parameters import MOTIF_NAMES, MOTIFS, order_parameters


def library_values(directions):
    """pymatgen's parameters of one site, with its own table of motifs."""
    cell = Lattice.cubic(100.0)
    sites = [PeriodicSite("H", x, cell, coords_are_cartesian=True) for x in [np.zeros(3), *directions]]
    c, values = len(directions), []
    for name in MOTIFS[c]:
        op = CN_OPT_PARAMS.get(c, {}).get(name, [name])
        parameters = [op[1] if len(op) > 1 else None]
        found = LocalStructOrderParams([op[0]], parameters=parameters).get_order_parameters(
            sites, 0, indices_neighs=list(range(1, c + 1))
        )
        values.append(found[0])
    return np.array(values)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def shape(c, rng):
    """Directions near those of a regular figure, so that every term of the sums is reached."""
    theta = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], c) * np.pi + 0.02 * rng.normal(size=c)
    phi = rng.choice(12, c) * np.pi / 6 + 0.02 * rng.normal(size=c)
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)


@pytest.mark.parametrize("c", range(2, 13))
def test_equal_to_the_library(c):
    rng = np.random.default_rng(c)
    count = 4 if c < 9 else 2
    directions = np.stack([unit(rng.normal(size=(c, 3))) for _ in range(count)] + [shape(c, rng) for _ in range(count)])
    found = order_parameters(torch.from_numpy(directions)).numpy()
    # One value of the library, body-centred cubic, depends on the order of the neighbours: ours is between the two.
    expected = np.stack([(library_values(row) + library_values(row[::-1])) / 2 for row in directions])
    np.testing.assert_allclose(found, expected, atol=1e-6)  # acos loses half the digits near 0 and π


PERFECT = {
    "linear": [[0, 0, 1], [0, 0, -1]],
    "trigonal planar": [[1, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]],
    "tetrahedral": [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
    "square co-planar": [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]],
    "octahedral": [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]],
    "body-centered cubic": [[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)],
    "cuboctahedral": [v for a in (1, -1) for b in (1, -1) for v in ([0, a, b], [a, 0, b], [a, b, 0])],
}


@pytest.mark.parametrize("name", PERFECT)
def test_a_perfect_motif_scores_highest(name):
    directions = unit(np.array(PERFECT[name], dtype=float))
    names = list(MOTIFS[len(directions)])
    values = order_parameters(torch.from_numpy(directions)[None])[0]
    assert names[int(values.argmax())] == name
    assert values.max() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("c", [3, 5, 8, 12])
def test_independent_of_rotation_and_order(c):
    rng = np.random.default_rng(0)
    directions = torch.from_numpy(unit(rng.normal(size=(3, c, 3))))
    rotation = torch.linalg.qr(torch.from_numpy(rng.normal(size=(3, 3))))[0]
    expected = order_parameters(directions)
    torch.testing.assert_close(order_parameters(directions @ rotation), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(order_parameters(directions.flip(1)), expected, atol=1e-6, rtol=0)


def test_thirty_seven_motifs():
    assert len(MOTIF_NAMES) == 37
    assert MOTIF_NAMES[10] == "tetrahedral (4)"
    assert MOTIF_NAMES[18] == "octahedral (6)"
    assert MOTIF_NAMES[22] == "body-centered cubic (8)"
    assert MOTIF_NAMES[33] == "cuboctahedral (12)"
