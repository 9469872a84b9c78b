"""Crystals come back from tables as they went in."""

import pandas as pd
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import from_pymatgen
from nucleate.runs.candidates import table_crystals


def candidates_of(crystals: Crystals) -> pd.DataFrame:
    rows = [[value.tolist() for value in crystals.sites(i)] for i in range(len(crystals))]
    table = pd.DataFrame(rows, columns=["numbers", "frac", "lattice"])
    table["status"] = "ok"
    table["energy_above_hull"] = 0.05
    return table


def test_crystals_of_a_table_round_trip_through_parquet(prototypes, tmp_path) -> None:
    crystals = from_pymatgen(prototypes())
    table = candidates_of(crystals)
    table["relaxed_frac"] = [None, *table["frac"][1:]]
    table["relaxed_lattice"] = [None, *table["lattice"][1:]]
    table.to_parquet(tmp_path / "rows.parquet")
    for read in (table, pd.read_parquet(tmp_path / "rows.parquet")):
        again = table_crystals(read)
        assert torch.equal(again.frac, crystals.frac)
        assert torch.equal(again.lattice, crystals.lattice)
        relaxed = table_crystals(read, relaxed=True)
        assert relaxed.lattice[0].isnan().all()
        assert torch.equal(relaxed.lattice[1:], crystals.lattice[1:])


def test_a_row_of_a_structure_that_could_not_be_read_has_no_cell(prototypes) -> None:
    crystals = from_pymatgen(prototypes()[:1])
    table = candidates_of(crystals)
    table.loc[1] = {"numbers": [], "frac": [], "lattice": [], "status": "invalid_input", "energy_above_hull": None}
    again = table_crystals(table)
    assert torch.equal(again.lattice[0], crystals.lattice[0])
    assert again.n_atoms.tolist() == [crystals.n_atoms[0], 0]
    assert again.lattice[1].isnan().all()
