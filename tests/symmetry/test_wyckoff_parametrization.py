"""Laws of layouts: what they say is what a symmetry search finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.wyckoff import wyckoff_positions
from nucleate.symmetry.wyckoff_parametrization import layout, primitive_vectors

GROUPS = (1, 2, 5, 15, 38, 43, 47, 62, 88, 122, 141, 148, 152, 166, 186, 194, 205, 225, 227)


@pytest.mark.parametrize("number", GROUPS)
def test_random_values_carry_exactly_the_label(number: int) -> None:
    rng = np.random.default_rng(number)
    general = wyckoff_positions(number)[-1].letter
    for position in wyckoff_positions(number):
        asked = Protostructure(number, ((8, general), (14, position.letter)))
        map_ = layout(asked)
        free = torch.from_numpy(rng.random((1, map_.n_coordinates)))
        crystals = map_.crystals(free, torch.from_numpy(rng.normal(0, 0.2, (1, map_.n_strains))))
        size = (20 * map_.n_sites / crystals.volume) ** (1 / 3)
        (found,) = protostructures(replace(crystals, lattice=crystals.lattice * size[:, None, None]), 1e-4)
        assert found is not None
        assert found.label == asked.label


@pytest.mark.parametrize("number", range(1, 231))
def test_cells_have_the_metric_symmetry_of_the_group(number: int) -> None:
    import moyopy

    map_ = layout(Protostructure(number, ((14, "a"),)))
    strain = 0.1 * torch.arange(1, map_.n_strains + 1, dtype=torch.float64)[None]
    conventional = torch.linalg.inv(torch.from_numpy(primitive_vectors(number))) @ map_.lattice(strain)[0]
    metric = conventional @ conventional.T
    for turn in moyopy.operations_from_number(number).rotations:
        rotation = torch.tensor(turn, dtype=torch.float64)
        torch.testing.assert_close(rotation.T @ metric @ rotation, metric)


def test_frac_is_linear_in_the_free_coordinates() -> None:
    map_ = layout(Protostructure.parse("A2BC4_cF56_227_c_b_e:Al-Mg-O"))
    a, b = torch.rand(2, 1, map_.n_coordinates, dtype=torch.float64)
    middle = map_.frac(0.5 * (a + b))
    torch.testing.assert_close(middle, 0.5 * (map_.frac(a) + map_.frac(b)))
