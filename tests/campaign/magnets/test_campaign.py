"""A campaign from structures to orderings: counts, going on, bad crystals, dead ends, and what cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

import nucleate
from nucleate.campaign.magnets.campaign import run_campaign
from nucleate.campaign.magnets.columns import Prescreen, with_symmetry_held
from nucleate.cli.main import run
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.io.files import write_structures
from nucleate.predictors.property_cnn import SPEC
from nucleate.runs.candidates import Candidates
from nucleate.settings import MagnetSettings, ScreenSettings
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import ModelFacts, write_model

EMT = "ase.calculators.emt:EMT"


SMALL = {"max_atoms": 4, "channels": (4,), "kernels": (3,), "strides": (2,), "dense": (8,), "head": (4,)}
SEARCH = {"predictor": "none", "workers": 1, "max_steps": 60, "cells": 1}
LOOSE = ("new_composition=true", "formation_energy=9", "hull=9", "magnetization=0.2")


def alloys() -> Crystals:
    """Tetragonal FeNi, the same with atoms too close, NdFe, a cell that is none, and a triclinic FeNi."""
    tetragonal = torch.diag(torch.tensor([2.53, 2.53, 3.58], dtype=torch.float64))
    sheared = tetragonal + torch.tensor([[0.0, 0, 0], [0.3, 0, 0], [0.2, 0.4, 0]], dtype=torch.float64)
    cells = [tetragonal, 0.2 * tetragonal, 1.3 * tetragonal, torch.nan * tetragonal, sheared]
    numbers = [[26, 28], [26, 28], [60, 26], [26, 28], [26, 28]]
    return Crystals.from_lists(numbers, [[[0.0, 0, 0], [0.5, 0.5, 0.5]]] * 5, cells)


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    """A network with random weights, in a folder."""
    folder = tmp_path_factory.mktemp("network") / "tiny"
    torch.manual_seed(0)
    model = SPEC.build(SMALL)
    some = alloys()[torch.tensor([0, 1, 2, 4])]
    labels = {"formation_energy": torch.linspace(-1, 0, 4), "saturation_magnetization": torch.arange(4.0)}
    model.fit(TrainingBatch.of(some, labels))
    facts = ModelFacts("property_cnn", "tiny", "of a test", model.config.model_dump(mode="json"), {}, {}, {}, {})
    write_model(folder, model.state_dict(), facts)
    return str(folder)


@pytest.fixture(scope="module")
def irons(tmp_path_factory) -> str:
    """A reference of iron and nickel, on no potential's scale in particular."""
    folder = tmp_path_factory.mktemp("reference") / "irons"
    phases = pd.DataFrame(
        {"id": ["fe", "ni", "feni"], "formula": ["Fe", "Ni", "FeNi"], "formation_energy": [0.0, 0.0, -0.1]}
    ).assign(source="test")
    half = torch.tensor([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]], dtype=torch.float64)
    iron = Crystals.from_lists([[26]], [[[0.0, 0.0, 0.0]]], [2.87 * half])
    Reference("irons", {26: -8.4, 28: -5.7}, phases, iron, ("fe",)).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory, irons):
    folder = tmp_path_factory.mktemp("campaign")
    path = folder / "alloys.extxyz"
    write_structures(alloys()[torch.tensor([0, 1, 2, 4])], path, ids=["good", "close", "rare", "low"])
    content = nucleate.magnets(
        out=folder / "magnets", structures=path, thresholds=LOOSE, **{**SEARCH, "reference": irons}
    )
    return content, folder, irons


def test_from_structures_to_orderings(campaign) -> None:
    content, folder, _ = campaign
    steps = {step["filter"]: step["in_sequence"]["passed"] for step in content["counts"]["steps"]}
    assert (steps["elements"], steps["min_distance"], steps["space_group"], steps["relaxed"]) == (3, 2, 1, 1)
    (final,) = content["finalists"]
    assert final["id"] == "good"
    assert final["relaxed_space_group"] == 123
    assert 1.0 < final["moments_magnetization"] < 2.0
    out = folder / "magnets"
    assert pd.read_csv(out / "finalists.csv")["id"].tolist() == ["good"]
    assert (out / "finalists" / "good_FeNi.cif").exists()
    assert list((out / "orderings").glob("good_FeNi/INCAR.*"))
    assert (out / "relaxed" / "report.html").exists()
    assert content["success"]["tried"] == content["success"]["converged"] == content["success"]["both"] == 1
    assert content["symmetry"]["generated"]["low"] == 1
    assert sum(row["generated"] for row in content["classes"][:6]) == 4
    assert content["base"]["total"] == 1


def test_the_page_stands_beside_the_papers(campaign) -> None:
    _, folder, _ = campaign
    page = (folder / "magnets" / "magnets.html").read_text()
    (folder / "magnets" / "magnets.html").unlink()
    assert nucleate.write_report(folder / "magnets").read_text() == page
    for words in ("1,264,466", "228,009", "uniaxial lattice", "FeNi", "base rate"):
        assert words in page
    assert "http://" not in page
    assert "script-src 'none'" in page


def test_going_on_ends_in_the_same_bytes(campaign) -> None:
    _, folder, irons = campaign
    out = folder / "magnets"
    kept = ["finalists.csv", "relaxed.csv", "candidates/00000.parquet", "relaxed/candidates/00000.parquet"]
    before = [(out / name).read_bytes() for name in kept]
    (out / "candidates" / "00000.parquet").unlink()
    (out / "magnets.json").unlink()
    again = {"structures": folder / "alloys.extxyz", **SEARCH, "reference": irons, "resume": True}
    nucleate.magnets(out=out, thresholds=LOOSE, **again)
    assert [(out / name).read_bytes() for name in kept] == before
    with pytest.raises(UserError, match="options that it began with"):
        nucleate.magnets(out=out, thresholds=LOOSE[:3], **again)
    with pytest.raises(UserError, match="already there"):
        nucleate.magnets(out=out, thresholds=LOOSE, **{**again, "resume": False})


def test_the_crystals_of_a_campaign_can_be_taken_again(campaign, tmp_path) -> None:
    before, folder, irons = campaign
    screen = ScreenSettings(reference=irons)
    content = run_campaign(
        MagnetSettings(structures=str(folder / "magnets"), screen=screen), tmp_path / "again", workers=1
    )
    assert content["n"] == 4
    assert content["dead_end"]["step"] == "new_composition"
    assert content["counts"]["steps"][0] == before["counts"]["steps"][0]


def test_models_with_a_network_and_a_dead_end(tmp_path, screening, network) -> None:
    settings = MagnetSettings(
        models=("random", "pseudo-random"),
        n=5,
        where=("chemical_system=Cu-Au", "n_atoms=2..4"),
        predictor=network,
        thresholds=("predicted_energy=-50",),
        elements=("Cu", "Au"),
        screen=screening,
    )
    content = run_campaign(settings, tmp_path / "magnets", workers=1)
    assert content["models"] == {"random": 5, "pseudo-random": 5}
    assert content["magnetization"] == "network"
    end = content["dead_end"]
    assert end["step"] == "predicted_energy"
    assert end["threshold"].startswith("predicted_energy=")
    assert content["success"]["tried"] == 0
    assert not content["finalists"]
    assert not (tmp_path / "magnets" / "relaxed").exists()
    from nucleate.report.magnets import build_magnets

    assert "Nothing passes the step" in build_magnets(tmp_path / "magnets").read_text()
    table = pd.read_parquet(tmp_path / "magnets" / "candidates" / "00001.parquet")
    assert table["model"].unique().tolist() == ["pseudo-random"]
    # The second model's crystals do not depend on the first's.
    alone = run_campaign(settings.model_copy(update={"models": ("pseudo-random",)}), tmp_path / "alone", workers=1)
    assert alone["n"] == 5
    assert pd.read_parquet(tmp_path / "alone" / "candidates")["formula"].tolist() == table["formula"].tolist()


def test_batched_columns_are_those_of_each_crystal_alone(network) -> None:
    from nucleate.campaign.magnets.columns import PropertyNetwork
    from nucleate.campaign.predict import load_predictor

    some = alloys()
    crystals = Candidates.from_crystals(some, [str(i) for i in range(5)], "test")
    network = PropertyNetwork(load_predictor(network), ("formation_energy", "saturation_magnetization"))
    prescreen = Prescreen({26, 28}, {"FeNi"}, network)
    together = prescreen.describe(crystals)
    alone = Candidates.concatenate([prescreen.describe(crystals[[i]]) for i in (0, 1, 2, 4)])
    pd.testing.assert_frame_equal(together[[0, 1, 2, 4]].table, alone.table, rtol=1e-5)
    assert together.column("elements_allowed").tolist() == [True, True, False, pd.NA, True]
    assert together.column("status")[3] == "not_finite"
    assert together.column("min_distance")[0] == pytest.approx(2.53)
    assert together.column("space_group")[0] == 123


def test_symmetry_counts_where_it_is_the_same_crystal_and_relaxes_no_higher(tmp_path, irons) -> None:
    nearly = alloys()[:1]
    nearly.frac[0, 1] = torch.tensor([0.52, 0.49, 0.51])
    nearly.lattice[0, 1, 0] += 0.05
    screen = ScreenSettings(reference=irons, max_steps=60, symprec=0.01)
    write_structures(nearly, tmp_path / "nearly.extxyz", ids=["nearly"])
    settings = MagnetSettings(structures=str(tmp_path / "nearly.extxyz"), thresholds=LOOSE, screen=screen, cells=1)
    plain = run_campaign(settings, tmp_path / "plain", workers=1)
    assert plain["dead_end"]["step"] == "space_group"
    moved = run_campaign(settings.model_copy(update={"symmetrize": 0.3}), tmp_path / "moved", workers=1)
    found = moved["symmetry"]
    assert (found["moved"], found["moved_relaxed"], found["moved_hold"]) == (1, 1, 1)
    (row,) = moved["relaxed"]
    assert row["space_group"] == 123
    assert row["symmetry_holds"]
    assert (tmp_path / "moved" / "relaxed-as-generated" / "run.json").exists()


def test_symmetry_that_costs_energy_does_not_hold() -> None:
    table = pd.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "energy_per_atom": [-5.0, -5.0, -5.0, None],
            "is_symmetrized": [True, True, None, True],
        }
    )
    plain = pd.DataFrame({"id": ["a", "b"], "status": ["ok", "ok"], "energy_per_atom": [-5.01, -5.001]})
    holds = with_symmetry_held(table, plain)["symmetry_holds"].tolist()
    assert holds[:3] == [False, True, True]
    assert pd.isna(holds[3])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"models": ("random",), "elements": ("Fe", "Xx")}, "Xx"),
        ({"models": ("random",), "thresholds": ("hul=0.1",)}, "hul"),
        ({"models": ("random",), "thresholds": ("hull",)}, "NAME=VALUE"),
        ({"models": ("no-such",)}, "no-such"),
        ({"models": ("random",), "predictor": "no-such"}, "no-such"),
        ({"models": ("random",), "magnetization": "network"}, "--predictor"),
        ({"models": ("random",), "structures": "x.cif"}, "both"),
        ({}, "neither"),
        ({"structures": "no-such.cif"}, "no-such.cif"),
        ({"models": ("random",), "data": "no-such.csv"}, "no-such.csv"),
        ({"structures": "x.cif", "where": ("n_atoms=2",)}, "--where"),
    ],
)
def test_what_cannot_be_campaign(options, expected, screening, tmp_path) -> None:
    with pytest.raises(UserError, match=expected):
        run_campaign(MagnetSettings(n=2, screen=screening, **options), tmp_path / "out")
    assert not (tmp_path / "out" / "run.json").exists()


def test_on_the_command_line(tmp_path, metals, capsys) -> None:
    arguments = ["magnets", "--model", "random", "-n", "3", "--where", "chemical_system=Cu-Au", "--predictor", "none"]
    arguments += ["--potential", EMT, "--reference", metals, "--elements", "Cu", "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 3
    assert found["dead_end"]["step"] == "elements"
    assert Path(found["report"]).exists()
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "--threshold", "nothing=1"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
