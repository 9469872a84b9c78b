"""Labels from a table, and from structures where the table has none."""

import pandas as pd
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import Dataset, known_labels, label
from nucleate.descriptors.geometry import compactness
from nucleate.errors import UserError


@pytest.fixture
def salts():
    crystals = Crystals.from_lists(
        [[11, 17], [55, 17]], [[[0.0, 0, 0], [0.5, 0.5, 0.5]]] * 2, [4 * torch.eye(3, dtype=torch.float64)] * 2
    )
    table = pd.DataFrame({"e_above_hull": [0.1, None], "hardness": [2.0, 3.0], "band_gap": [None, None]})
    return Dataset(crystals, table)


def test_a_column_has_its_own_or_its_usual_name(salts):
    found = label(salts, "energy_above_hull")
    assert found[0] == 0.1
    assert found[1].isnan()
    own = Dataset(salts.crystals, salts.table.assign(energy_above_hull=[0.5, 0.6]))
    assert label(own, "energy_above_hull").tolist() == [0.5, 0.6]
    assert label(salts, "hardness").tolist() == [2, 3]


def test_what_the_table_lacks_is_computed(salts):
    assert torch.equal(label(salts, "compactness"), compactness(salts.crystals))
    assert label(salts, "space_group").tolist() == [221, 221]
    assert label(salts, "n_atoms").tolist() == [2, 2]
    stated = Dataset(salts.crystals, salts.table.assign(compactness=[0.1, 0.2]))
    assert label(stated, "compactness").tolist() == [0.1, 0.2]


def test_what_nobody_knows_is_named(salts):
    with pytest.raises(UserError, match="toughness"):
        label(salts, "toughness")


def test_known_labels_leave_out_what_no_crystal_has(salts):
    found = known_labels(salts, ("energy_above_hull", "band_gap", "magnetic_density", "complexity"))
    assert list(found) == ["energy_above_hull", "complexity"]


def test_saturation_magnetization_is_the_magnetic_density_in_tesla(salts):
    told = Dataset(salts.crystals, salts.table.assign(magnetization=[0.1, None]))
    found = known_labels(told, ("saturation_magnetization",))["saturation_magnetization"]
    assert float(found[0]) == pytest.approx(1.1654, abs=1e-4)
    assert found[1].isnan()
    assert known_labels(salts, ("saturation_magnetization",)) == {}
    stated = Dataset(salts.crystals, salts.table.assign(saturation_magnetization=[2.0, 0.5], magnetization=0.1))
    assert label(stated, "saturation_magnetization").tolist() == [2.0, 0.5]
