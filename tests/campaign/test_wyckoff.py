"""Crystals of a protostructure, from label to table and files."""

import pandas as pd
import pytest
import torch

from nucleate.campaign.wyckoff import COLUMNS, realise, write_realised
from nucleate.errors import UserError
from nucleate.io.files import read_structures
from nucleate.settings import WyckoffSettings

LABEL = "AB_tP2_123_a_d:Ag-Cu"
EMT = "ase:emt"
FAST = WyckoffSettings(label=LABEL, n=2, seed=3, draws=4, steps=8, keep=2, relaxed=1, calls=12, potential=EMT)


@pytest.fixture(scope="module")
def found():
    return realise(FAST, workers=1)


def test_the_table_ranks_what_was_found(found) -> None:
    crystals, table, cost = found
    assert list(table.columns) == list(COLUMNS)
    assert len(crystals) == len(table) >= 1
    assert table["energy_per_atom"].is_monotonic_increasing
    assert table["space_group"].eq(123).all()
    assert cost["label"] == LABEL
    assert cost["calls_in_group"] > 0
    assert cost["calls_free"] > 0


def test_same_seed_same_bytes(found) -> None:
    crystals, table, _ = found
    again, same, _ = realise(FAST, workers=1)
    assert torch.equal(crystals.frac, again.frac)
    assert torch.equal(crystals.lattice, again.lattice)
    pd.testing.assert_frame_equal(table, same)


def test_files_hold_the_crystals(found, tmp_path) -> None:
    crystals, table, _ = found
    write_realised(crystals, table, tmp_path / "folder")
    assert len(read_structures(tmp_path / "folder" / "cifs").ids) == len(table)
    assert pd.read_csv(tmp_path / "folder" / "ranked.csv")["id"].tolist() == table["id"].tolist()
    write_realised(crystals, table, tmp_path / "one.extxyz")
    assert read_structures(tmp_path / "one.extxyz").ids == table["id"].tolist()


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("spinel", "label such as"),
        ("A2BC4_cF56_300_c_b_e:Al-Mg-O", "1 to 230"),
        ("A2BC4_cF56_227_c_b_z:Al-Mg-O", "letter"),
        ("A2BC4_cF56_227_c_b_e:Al-Mg", "elements"),
        ("A2BC4_cF56_227_c_b_e:Al-Mg-Xx", "symbol"),
        ("A3BC4_cF56_227_c_b_e:Al-Mg-O", "formula"),
        ("A2BC4_cF57_227_c_b_e:Al-Mg-O", "Pearson"),
        ("A_cF4_225_a:He", "He"),
    ],
)
def test_bad_labels_are_one_clear_line(label: str, word: str) -> None:
    with pytest.raises(UserError, match=word):
        realise(WyckoffSettings(label=label, n=1, potential=EMT))
