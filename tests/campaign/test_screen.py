"""Structures of any origin: each keeps its place, a bad one with a reason; what is known is recognised."""

import pandas as pd
import pytest
import torch

from nucleate.campaign.screen import evaluate, screen
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.io.files import write_structures
from nucleate.settings import ScreenSettings

FCC = [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]]
CUBE = [[3.8, 0.0, 0.0], [0.0, 3.8, 0.0], [0.0, 0.0, 3.8]]


@pytest.fixture(scope="module")
def metals_batch():
    """Copper twice, ordered Cu3Au, two atoms on top of each other, and an element that EMT does not know."""
    corners = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]
    return Crystals.from_lists(
        [[29], [29], [79, 29, 29, 29], [29, 29], [3]],
        [[[0.0] * 3], [[0.3] * 3], corners, [[0.0] * 3, [0.1, 0.0, 0.0]], [[0.0] * 3]],
        [FCC, FCC, CUBE, FCC, FCC],
    )


@pytest.fixture
def screened(metals_batch, screening, tmp_path):
    run = screen(metals_batch, screening, tmp_path / "run", workers=1)
    return run.candidates().set_index("id")


def test_known_repeated_and_broken_structures_are_told_apart(screened):
    table = screened
    assert table["status"].tolist()[:4] == ["ok", "ok", "ok", "invalid_geometry"]
    assert table["status"].iloc[4] not in ("ok", "unconverged")
    assert table["reason"].iloc[3:].str.len().gt(0).all()
    assert table["is_novel"].tolist()[:3] == [False, False, True]
    assert table["formula_known"].tolist()[:3] == [True, True, False]
    assert table["is_unique"].tolist()[:3] == [True, False, True]
    assert table["duplicate_of"].iloc[1] == "c000000"
    assert table["is_valid"].tolist()[:4] == [True, True, True, False]
    assert table["relaxed_space_group"].tolist()[:3] == [225, 225, 221]
    assert table["energy_above_hull"].iloc[0] == pytest.approx(0.0, abs=0.01)
    assert not table["is_stable"].iloc[3]


def test_a_file_keeps_its_rows_and_names(metals_batch, screening, tmp_path):
    write_structures(metals_batch[[0, 2]], tmp_path / "in", ids=["a/b", "copper gold"])
    (tmp_path / "in" / "broken.cif").write_text("data_broken\n_cell_length_a nonsense\n")
    run = screen(tmp_path / "in", screening, tmp_path / "run", workers=1)
    table = run.candidates().set_index("id")
    assert set(table.index) == {"a-b", "broken", "copper-gold"}
    assert table.loc["broken", "status"] == "invalid_input"
    assert table.loc["broken", "reason"]
    assert table.loc[["a-b", "copper-gold"], "status"].eq("ok").all()
    assert {path.name for path in (run.folder / "cifs").iterdir()} == {"a-b_Cu.cif", "copper-gold_Cu3Au.cif"}


def test_another_file_cannot_go_on_with_a_run(metals_batch, screening, tmp_path):
    screen(metals_batch[:2], screening, tmp_path / "run", workers=1)
    with pytest.raises(UserError, match="run with structures"):
        screen(metals_batch[[0, 2]], screening, tmp_path / "run", resume=True, workers=1)


def test_an_element_without_energy_is_unknown_not_stable(screening, tmp_path):
    silver = Crystals.from_lists([[47]], [[[0.0] * 3]], [torch.tensor(FCC) * 1.13])
    table = screen(silver, screening, tmp_path / "run", workers=1).candidates()
    assert table["status"].tolist() == ["no_reference"]
    assert table["energy_above_hull"].isna().all()
    assert table["is_stable"].isna().all()


def test_evaluation_without_relaxing_takes_structures_as_they_are(metals_batch, screening):
    summary = evaluate(metals_batch[:3], screening.without_relaxation(), workers=1)
    assert summary.rate("unique").count == 2
    assert summary.rate("stable").count == 3
    assert "none (structures as given)" in str(summary)


def test_with_chgnet_rocksalt_comes_back_from_a_distorted_start(tmp_path):
    """MgO: rocksalt, a = 4.21 Å (experiment); CHGNet is within 2 % of it."""
    half = 2.15
    cell = [[0.0, half, half], [half, 0.0, half], [half, half, 0.0]]
    sites = [[0.0] * 3, [0.5] * 3]
    crystals = Crystals.from_lists([[12, 8], [12, 8]], [sites, [[0.01, 0.0, 0.0], [0.5, 0.48, 0.5]]], [cell, cell])
    phases = {"id": ["a", "b"], "formula": ["Mg", "O2"], "formation_energy": [0.0, 0.0], "source": "test"}
    Reference("oxygen", {12: -1.5, 8: -4.9}, pd.DataFrame(phases)).save(tmp_path / "reference")
    settings = ScreenSettings(reference=str(tmp_path / "reference"))
    table = screen(crystals, settings, tmp_path / "run", workers=1).candidates()
    assert table["status"].tolist() == ["ok", "ok"]
    assert table["relaxed_space_group"].tolist() == [225, 225]
    assert table["is_unique"].tolist() == [True, False]
    assert table["formation_energy"].between(-3.5, -2.5).all()
    assert table["energy_per_atom"].diff().abs().max() < 2e-3
    volume = abs(torch.tensor([list(row) for row in table["relaxed_lattice"].iloc[0]]).det()) * 4
    assert volume.item() ** (1 / 3) == pytest.approx(4.21, rel=0.02)


def test_columns_of_a_file_are_in_the_ranked_table_under_their_names(metals_batch, screening, tmp_path):
    columns = pd.DataFrame({"band gap (eV)": [0.5, None], "note": ["=1+1", "b, c"], "formula": ["x", "y"]})
    write_structures(metals_batch[[0, 2]], tmp_path / "in.csv", ids=["a", "b"], properties=columns)
    with (tmp_path / "in.csv").open("a") as table:
        table.write("broken,7,note,z,no text\n")
    run = screen(tmp_path / "in.csv", screening, tmp_path / "run", workers=1)
    ranked = pd.read_csv(run.folder / "ranked.csv").set_index("id")
    assert ranked.loc["a", "band gap (eV)"] == 0.5
    assert ranked.loc[["b", "broken"], "band gap (eV)"].isna().all()
    assert ranked.loc[["a", "b"], "note"].tolist() == ["'=1+1", "b, c"]
    assert ranked.loc[["a", "b"], "formula (input)"].tolist() == ["x", "y"]
    assert ranked.loc["b", "formula"] == "Cu3Au"


def test_the_file_of_a_folder_is_a_column(metals_batch, screening, tmp_path):
    write_structures(metals_batch[[0]], tmp_path / "in" / "deep" / "one.cif", ids=["a"])
    run = screen(tmp_path / "in", screening, tmp_path / "run", workers=1)
    assert pd.read_csv(run.folder / "ranked.csv")["source_file"].tolist() == ["deep/one.cif"]
