"""The judged table agrees with the single metrics, row by row."""

import pandas as pd
import pytest
import torch

from nucleate.crystal.convert import from_pymatgen
from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.evaluation.judgement import crystals_of, judge


def candidates_of(crystals: Crystals) -> pd.DataFrame:
    rows = [[value.tolist() for value in crystals.sites(i)] for i in range(len(crystals))]
    table = pd.DataFrame(rows, columns=["numbers", "frac", "lattice"])
    table["status"] = "ok"
    table["energy_above_hull"] = 0.05
    return table


def test_relaxed_structures_are_compared_where_there_are_any(prototypes) -> None:
    rock_salt, caesium_chloride, *_, perovskite = prototypes()
    generated = from_pymatgen([rock_salt, caesium_chloride, perovskite])
    relaxed = from_pymatgen([rock_salt, rock_salt, perovskite])
    missing = relaxed.lattice.clone()
    missing[2] = float("nan")
    relaxed = Crystals(relaxed.numbers, relaxed.frac, missing, relaxed.n_atoms)
    table = candidates_of(generated)
    table.loc[2, "status"] = "unconverged"
    result = judge(table, generated, relaxed, known=from_pymatgen([caesium_chloride, perovskite]))
    assert result["is_valid"].all()
    assert result["is_unique"].tolist() == [True, False, True]
    assert result["is_novel"].tolist() == [True, True, False]
    assert result["is_stable"].tolist() == [True, True, False]
    assert result["rmsd_matched"].isna().tolist() == [False, False, True]
    assert "finite" in result["comparison_reason"][2]
    assert list(table.columns) == list(candidates_of(generated).columns)  # the input is left as it was


def test_no_relaxation(prototypes) -> None:
    generated = from_pymatgen(prototypes())
    result = judge(candidates_of(generated).drop(columns="energy_above_hull"), generated, known=generated)
    assert not result["is_novel"].any()
    assert "rmsd_to_relaxed" not in result
    assert "is_stable" not in result


def test_crystals_of_a_table_round_trip_through_parquet(prototypes, tmp_path) -> None:
    crystals = from_pymatgen(prototypes())
    table = candidates_of(crystals)
    table["relaxed_frac"] = [None, *table["frac"][1:]]
    table["relaxed_lattice"] = [None, *table["lattice"][1:]]
    table.to_parquet(tmp_path / "rows.parquet")
    for read in (table, pd.read_parquet(tmp_path / "rows.parquet")):
        again = crystals_of(read)
        assert torch.equal(again.frac, crystals.frac)
        assert torch.equal(again.lattice, crystals.lattice)
        relaxed = crystals_of(read, relaxed=True)
        assert relaxed.lattice[0].isnan().all()
        assert torch.equal(relaxed.lattice[1:], crystals.lattice[1:])


def test_lengths_must_agree(prototypes) -> None:
    generated = from_pymatgen(prototypes())
    with pytest.raises(UserError):
        judge(candidates_of(generated)[:2], generated)


def test_a_row_of_a_structure_that_could_not_be_read_has_no_cell(prototypes) -> None:
    crystals = from_pymatgen(prototypes()[:1])
    table = candidates_of(crystals)
    table.loc[1] = {"numbers": [], "frac": [], "lattice": [], "status": "invalid_input", "energy_above_hull": None}
    again = crystals_of(table)
    assert torch.equal(again.lattice[0], crystals.lattice[0])
    assert again.n_atoms.tolist() == [crystals.n_atoms[0], 0]
    assert again.lattice[1].isnan().all()
