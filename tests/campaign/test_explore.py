"""A chemical system explored by two methods: equal budgets, one hull, a page; gone on with, and asked for wrongly."""

import json

import pandas as pd
import pytest

import nucleate
from nucleate.campaign.explore import phase_diagram
from nucleate.errors import UserError
from nucleate.evaluation.phase_diagram import REFERENCE
from nucleate.report.phase_diagram import build_phase_diagram
from nucleate.runs.run import Run
from nucleate.settings import ExploreSettings, ScreenSettings

EMT = "ase.calculators.emt:EMT"


@pytest.fixture(scope="module")
def explored(tmp_path_factory, metals):
    screening = ScreenSettings(potential=EMT, reference=metals, chunk_size=4, max_steps=200)
    settings = ExploreSettings(
        system="Cu-Au", models=["random", "pseudo-random"], n=5, where=["n_atoms=2..4"], screen=screening
    )
    folder = tmp_path_factory.mktemp("explored")
    return phase_diagram(settings, folder, workers=1), folder, settings


def test_each_method_gets_the_same_number(explored) -> None:
    _, folder, _ = explored
    methods = pd.read_csv(folder / "methods.csv")
    assert methods["method"].tolist() == ["random", "pseudo-random"]
    assert methods["crystals"].tolist() == [5, 5]
    assert (methods["new_on_hull"] <= methods["on_hull"]).all()
    assert (methods["sun"] <= methods["stable"]).all()


def test_the_hull_holds_the_elements_and_the_best_crystal(explored) -> None:
    found, folder, _ = explored
    assert {"Cu", "Au"} <= set(found.phases["formula"])
    tables = [pd.read_csv(folder / name / "ranked.csv") for name in ("random", "pseudo-random")]
    lowest = min(table["energy_above_hull"].min() for table in tables)
    assert found.phases["gain"].max() == pytest.approx(max(-lowest, 0), abs=1e-6)
    for names in found.phases["found_by"]:
        assert set(names.split(", ")) <= {REFERENCE, "random", "pseudo-random"}


def test_the_page_names_every_phase_and_needs_nothing(explored) -> None:
    found, folder, _ = explored
    page = build_phase_diagram(folder).read_text()
    assert page.count("<tr>") == 3 + len(found.phases) + 1 + 3
    assert "http://" not in page
    assert "script-src 'none'" in page
    assert nucleate.write_report(folder).read_text() == page


def test_the_folder_says_what_it_is(explored) -> None:
    _, folder, _ = explored
    record = Run.open(folder).record
    assert (record.kind, record.n, record.chunk_plan) == ("exploration", 5, ())
    assert record.settings.system == "Cu-Au"
    assert set(Run.open(folder / "random").record.citations) <= set(record.citations)


def test_going_on_repeats_nothing(explored) -> None:
    found, folder, settings = explored
    before = (folder / "phases.csv").read_bytes()
    again = phase_diagram(settings, folder, resume=True, workers=1)
    assert (folder / "phases.csv").read_bytes() == before
    assert again.phases.equals(found.phases)
    asked = json.loads((folder / "phase_diagram.json").read_text())
    assert asked["methods"]["random"]["where"] == ["chemical_system=Au-Cu", "n_atoms=2..4"]


@pytest.mark.parametrize(
    ("system", "models", "where", "expected"),
    [
        ("Cu", ["random"], (), "two elements"),
        ("Cu-Xx", ["random"], (), "Xx"),
        ("Cu-Au", ["pign"], (), "pign"),
        ("Cu-Au", [], (), "model"),
        ("Cu-Au", ["random", "elsewhere/random"], (), "a name for each"),
        ("Cu-Au", ["random"], {"chemical_system": "Cu-Au"}, "it twice"),
    ],
)
def test_what_cannot_be_explored(system, models, where, expected, screening, tmp_path) -> None:
    settings = ExploreSettings(system=system, models=models, n=2, where=where, screen=screening)
    with pytest.raises(UserError, match=expected):
        phase_diagram(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_an_exploration(tmp_path) -> None:
    with pytest.raises(UserError, match="phase-diagram"):
        build_phase_diagram(tmp_path)
