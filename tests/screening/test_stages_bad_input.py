"""Bad structures, bad references, bad potentials: the row says so, the others go on, denominators keep it."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write

from nucleate.campaign.export import run_summary
from nucleate.campaign.screen import screen
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.relaxation import relaxation
from nucleate.report.page import build_report

sys.path.append(
    str(Path(__file__).parent)
)  # worker processes inherit the path, and must be able to import what they run

FCC = [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]]
NAN = float("nan")


def atoms(symbols: str, frac: list, cell: object, **more: object) -> Atoms:
    return Atoms(symbols, scaled_positions=frac, cell=cell, pbc=True, **more)


def bad_frames() -> dict[str, tuple[Atoms, str, str]]:
    """By name: a frame, its status, and a word of its reason."""
    two, cube = [[0, 0, 0], [0.5, 0.5, 0.5]], np.eye(3) * 3.0
    nan = atoms("CuAu", two, cube)
    nan.positions[1, 0] = NAN
    return {
        "good": (atoms("CuAu", two, cube), "ok", ""),
        "nan": (nan, "invalid_input", "not a finite number"),
        "zero-volume": (
            Atoms("CuAu", positions=[[0, 0, 0], [1, 1, 0]], cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True),
            "invalid_input",
            "without volume",
        ),
        "no-cell": (Atoms("CuAu", positions=[[0, 0, 0], [1, 1, 0]]), "invalid_input", "periodic"),
        "one-atom": (bulk("Cu", "fcc", a=3.61), "ok", ""),
        "gas": (bulk("Cu", "fcc", a=20.0), "invalid_geometry", "Å³ an atom"),
        "duplicate-sites": (atoms("Cu2Au2", [*two, *two], np.eye(3) * 4), "invalid_input", "overlapping"),
        "noble-gas": (atoms("HeCu", two, cube), "error", "He"),
        "no-radius": (atoms("FmCu", two, cube), "error", "Fm"),
        "large": (bulk("Cu", "fcc", a=3.61, cubic=True) * (5, 5, 2), "ok", ""),
        "too-large": (bulk("Cu", "fcc", a=3.61, cubic=True) * (13, 5, 4), "invalid_input", "sites"),
        "good-again": (atoms("CuAu", two, cube), "ok", ""),
    }


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> str:
    """A reference with energies of the elements that EMT knows but silver; gold has no phase of its own."""
    folder = tmp_path_factory.mktemp("reference") / "wide"
    names = ["Cu", "Ni", "Pd", "Pt", "Al", "CuAu"]
    phases = pd.DataFrame({"id": names, "formula": names, "formation_energy": [0.0] * 5 + [-0.05], "source": "test"})
    copper = Crystals.from_lists([[29]], [[[0.0] * 3]], [torch.tensor(FCC)])
    Reference("wide", dict.fromkeys([29, 79, 28, 46, 78, 13], 0.0), phases, copper, ("cu",)).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def screened_file(tmp_path_factory, metals):
    from nucleate.settings import ScreenSettings

    folder = tmp_path_factory.mktemp("bad")
    frames = bad_frames()
    for name, (frame, _, _) in frames.items():
        frame.info["id"] = name
    write(folder / "bad.extxyz", [frame for frame, _, _ in frames.values()])
    settings = ScreenSettings(potential="ase.calculators.emt:EMT", reference=metals, max_steps=200)
    return screen(folder / "bad.extxyz", settings, folder / "run", workers=1)


@pytest.mark.parametrize("name", bad_frames())
def test_each_bad_structure_says_what_is_wrong(screened_file, name):
    row = screened_file.candidates().set_index("id").loc[name]
    _, status, word = bad_frames()[name]
    assert row["status"] == status, row["reason"]
    assert word in row["reason"]
    assert bool(row["is_stable"]) == (status == "ok")


def test_denominators_keep_what_is_bad(screened_file):
    table = screened_file.candidates()
    assert table["id"].tolist() == list(bad_frames())
    summary = run_summary(screened_file)
    n = len(table)
    assert all(summary.rate(name).total == n for name in ("valid", "unique", "novel", "stable", "S.U.N."))
    assert summary.rate("stable").count == table["status"].eq("ok").sum()
    beside = summary.comparison
    assert beside["coverage"]["precision"]["total"] == n
    assert {one["count"] + one["missing"] for one in beside["numbers"]} == {n}
    assert sum(summary.statuses.values()) == n
    assert build_report(screened_file.folder).stat().st_size > 0


def test_elements_without_values_are_named(screened_file):
    row = screened_file.candidates().set_index("id").loc["no-radius"]
    assert "compactness (Fm)" in row["undefined_descriptors"]
    assert np.isnan(row["compactness"])


def test_a_batch_of_broken_tensors_keeps_its_rows(screening, tmp_path):
    cell = torch.tensor(FCC)
    batch = Crystals.from_lists(
        [[29], [29], [29], [29, 29]],
        [[[0.0] * 3], [[NAN, 0.0, 0.0]], [[0.0] * 3], [[0.0] * 3] * 2],
        [cell, cell, torch.zeros(3, 3), cell],
    )
    table = screen(batch, screening, tmp_path / "run", workers=1).candidates()
    assert table["status"].tolist() == ["ok", "not_finite", "invalid_geometry", "invalid_geometry"]
    assert table["reason"].iloc[1:].str.len().gt(0).all()
    assert table["is_unique"].iloc[0]
    assert not table["is_stable"].iloc[1:].any()


def test_nothing_but_bad_structures_is_a_run_too(screening, tmp_path):
    nothing = Crystals.from_lists([[29], [29]], [[[NAN] * 3]] * 2, [torch.tensor(FCC)] * 2)
    run = screen(nothing, screening, tmp_path / "run", workers=1)
    summary = run_summary(run)
    assert (summary.rate("S.U.N.").count, summary.rate("S.U.N.").total) == (0, 2)
    assert "unknown" in str(summary)
    build_report(run.folder)


def test_what_the_reference_lacks_is_named_and_the_distance_is_unknown(wide, screening, tmp_path):
    two, cell = [[0.0] * 3, [0.5] * 3], torch.eye(3) * 3.0
    batch = Crystals.from_lists([[29, 79], [29, 47], [29]], [two, two, [[0.0] * 3]], [cell, cell, torch.tensor(FCC)])
    settings = screening.model_copy(update={"reference": wide})
    run = screen(batch, settings, tmp_path / "run", workers=1)
    table = run.candidates()
    assert table["status"].tolist() == ["no_reference", "no_reference", "ok"]
    assert "the reference lacks Au" in table["reason"].iloc[0]
    assert "no energy of Ag" in table["reason"].iloc[1]
    assert table["energy_above_hull"].isna().tolist() == [True, True, False]
    assert table["is_stable"].isna().tolist() == [True, True, False]
    rate = run_summary(run).rate("stable")
    assert (rate.count, rate.total) == (1, 3)


def test_a_potential_that_misbehaves_costs_its_crystal_alone(wide, screening, tmp_path, monkeypatch):
    monkeypatch.setattr(relaxation, "GRACE_SECONDS", 0.0)
    elements = [29, 78, 13, 46, 28, 47, 29]
    batch = Crystals.from_lists([[z] for z in elements], [[[0.0] * 3]] * 7, [torch.tensor(FCC)] * 7)
    changes = {"reference": wide, "potential": "moody_emt:MoodyEMT", "max_seconds": 1.0}
    run = screen(batch, screening.model_copy(update=changes), tmp_path / "run", workers=1)
    table = run.candidates()
    assert table["status"].tolist() == ["ok", "time_limit", "error", "error", "not_finite", "not_finite", "ok"]
    assert "no palladium" in table["reason"].iloc[3]
    assert table["reason"].iloc[1:6].str.len().gt(0).all()
    assert table["energy_above_hull"].iloc[1:6].isna().all()
    rate = run_summary(run).rate("stable")
    assert (rate.count, rate.total) == (2, 7)


def test_an_empty_or_missing_file_is_one_clear_line(screening, tmp_path):
    (tmp_path / "empty.extxyz").write_text("")
    for name in ("empty.extxyz", "nosuch.extxyz"):
        with pytest.raises(UserError, match=name):
            screen(tmp_path / name, screening, tmp_path / "run", workers=1)
