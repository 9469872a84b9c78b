"""Sources side by side under one protocol: a run each, two references from the same relaxations, gone on with."""

import json

import pandas as pd
import pytest

from nucleate.campaign.comparison.compare import ALL_STAGES, GENERATION, compare_sources
from nucleate.campaign.comparison.sources import sources_of
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.evaluation.benchmark import OF_THE_REFERENCE, ON_TARGET
from nucleate.intervals import wilson
from nucleate.runs.run import Run
from nucleate.screening.reevaluation import reevaluated
from nucleate.settings import CompareSettings, ScreenSettings

EMT = "ase.calculators.emt:EMT"


N = 5


@pytest.fixture(scope="module")
def deeper(metals, tmp_path_factory):
    """The same reference but for one phase, which puts the hull 0.3 eV/atom lower."""
    folder = tmp_path_factory.mktemp("reference") / "deeper"
    known = Reference.load(metals)
    phases = known.phases.assign(formation_energy=[0.0, 0.0, -0.3])
    Reference("deeper", known.element_energies, phases, known.structures, ("cu",)).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Seven crystals of copper and gold from elsewhere."""
    from ase import Atoms
    from ase.io import write

    path = tmp_path_factory.mktemp("theirs") / "theirs.extxyz"
    cells = [Atoms("CuAu", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], cell=[a] * 3, pbc=True)
             for a in (2.9, 3.0, 3.05, 3.1, 3.15, 3.2, 3.3)]  # fmt: skip
    write(path, cells)
    return path


@pytest.fixture(scope="module")
def compared(tmp_path_factory, metals, deeper, theirs):
    folder = tmp_path_factory.mktemp("compared") / "out"
    screening = ScreenSettings(potential=EMT, reference=metals, chunk_size=4, max_steps=100, funnel="sun")
    settings = CompareSettings(
        models="pseudo-random",
        n=N,
        files={"theirs": theirs},
        references=[metals, deeper],
        per_request=0,
        screen=screening,
    )
    return compare_sources(settings, folder, workers=1), folder, settings


def _value(found, source, metric, **more):
    rows = found[found["source"].eq(source) & found["metric"].eq(metric)]
    for name, value in ({"subset": "all", "group": "all"} | more).items():
        rows = rows[rows[name].eq(value)]
    assert len(rows) == 1, (source, metric, more)
    return rows.iloc[0]


def test_each_source_is_a_run_of_its_own(compared):
    found, folder, _ = compared
    for source in ("pseudo-random", "theirs"):
        assert len(Run.open(folder / source).candidates()) == N
        assert _value(found, source, "valid", reference="metals")["total"] == N
    record = json.loads((folder / "comparison.json").read_text())
    assert [one["drawn_from"] for one in record["sources"]] == [None, 7]
    assert record["sources"][1]["costs"]["generation"] is None


def test_the_folder_says_what_it_is(compared):
    _, folder, _ = compared
    record = Run.open(folder).record
    assert (record.kind, record.n, record.chunk_plan) == ("comparison", N, ())
    assert list(record.citations) == json.loads((folder / "comparison.json").read_text())["citations"]


def test_shares_are_those_of_the_runs_with_wilson_intervals(compared):
    found, folder, _ = compared
    table = Run.open(folder / "theirs").candidates()
    sun = int((table["is_stable"] & table["is_unique"] & table["is_novel"]).sum())
    row = _value(found, "theirs", "S.U.N.", reference="metals")
    assert (row["count"], row["low"], row["high"]) == (sun, *wilson(sun, N))
    below = int(table["energy_above_hull"].le(0).sum())
    assert _value(found, "theirs", "on or below the hull", reference="metals")["count"] == below
    relaxed = int(table["status"].eq("ok").sum())
    assert _value(found, "theirs", "relaxed", reference="metals")["count"] == relaxed
    systems = found[found["metric"].eq("crystal system") & found["source"].eq("theirs") & found["subset"].eq("all")]
    assert systems["count"].sum() == relaxed


def test_another_reference_judges_the_same_relaxations(compared, deeper):
    found, folder, _ = compared
    run = Run.open(folder / "theirs")
    first, second = run.candidates(), reevaluated(run, deeper)
    assert second["energy_per_atom"].equals(first["energy_per_atom"])
    shift = (second["energy_above_hull"] - first["energy_above_hull"]).dropna()
    assert shift.tolist() == pytest.approx([0.25] * len(shift))
    assert second["is_stable"].sum() < first["is_stable"].sum()
    again = found[found["reference"].eq("deeper")]
    assert set(again["metric"]) <= {*OF_THE_REFERENCE, GENERATION, ALL_STAGES}


def test_core_seconds_are_those_of_the_record(compared):
    found, folder, _ = compared
    timings = Run.open(folder / "pseudo-random").record.timings
    assert {timings[stage].crystals for stage in ("generate", "relax", "judge")} == {N}
    spent = {stage: timings[stage].core_seconds / N for stage in ("generate", "relax", "judge")}
    assert spent["relax"] + spent["judge"] > 0
    record = json.loads((folder / "comparison.json").read_text())
    assert record["sources"][0]["costs"]["relaxation and judging"] == pytest.approx(spent["relax"] + spent["judge"])
    rate = _value(found, "theirs", "S.U.N.", reference="metals")
    assert not len(found[found["source"].eq("theirs") & found["metric"].eq(GENERATION)])
    assert rate["total"] == N


def test_going_on_repeats_nothing(compared):
    found, folder, settings = compared
    before = (folder / "comparison.csv").read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("*/candidates/*.parquet")}
    compare_sources(settings, folder, resume=True, workers=1)
    assert (folder / "comparison.csv").read_bytes() == before
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.glob("*/candidates/*.parquet")}
    assert pd.read_csv(folder / "comparison.csv")["source"].nunique() == found["source"].nunique() == 2
    with pytest.raises(UserError, match="--resume"):
        compare_sources(settings, folder, workers=1)
    with pytest.raises(UserError, match="n = 5.*not n = 6"):
        compare_sources(settings.model_copy(update={"n": 6}), folder, resume=True, workers=1)


def test_all_that_ships_and_the_baselines_are_compared_by_default():
    sources, left_out = sources_of((), {})
    labels = [source.label for source in sources]
    assert labels[-2:] == ["random", "substitution"]
    assert {"pigen-mp", "diffcsp-mp"} <= set(labels)
    assert "pigen-csp-mp" not in labels
    assert "given compositions" in left_out[0]
    about = sources[labels.index("pigen-mp")].about()
    assert about["parameters"] > 1_000_000
    assert about["training_seconds"] > 0
    assert about["training_crystals"] > 0


@pytest.mark.parametrize(
    ("models", "files", "expected"),
    [
        (["pign-mp"], {}, "pign-mp"),
        (["random"], {"random": "theirs"}, "two sources called 'random'"),
        (["random"], {"requests": "theirs"}, "requests"),
        (["random"], {"a/b": "theirs"}, "a/b"),
        (["random"], {"none": "missing"}, "nowhere.cif"),
    ],
)
def test_what_cannot_be_compared(models, files, expected, theirs, tmp_path, screening):
    paths = {name: theirs if kind == "theirs" else tmp_path / "nowhere.cif" for name, kind in files.items()}
    settings = CompareSettings(
        models=models, n=2, files=paths, references=screening.reference, per_request=0, screen=screening
    )
    with pytest.raises(UserError, match=expected):
        compare_sources(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("items", [["theirs"], ["=a.cif"], ["a="], ["a=1.cif", "a=2.cif"]])
def test_files_have_names(items):
    with pytest.raises(UserError, match="--file"):
        CompareSettings.from_keywords({"files": items})


def test_a_request_that_a_source_cannot_meet_is_only_named(metals, tmp_path):
    screening = ScreenSettings(potential=EMT, reference=metals, descriptors="none").without_relaxation()
    settings = CompareSettings(models="pseudo-random", n=2, references=metals, per_request=2, screen=screening)
    found = compare_sources(settings, tmp_path / "out", workers=1)
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert "'random', which draws with symmetry" in record["sources"][0]["not_offered"]["space_group=225"]
    assert found["metric"].eq(ON_TARGET).sum() >= 2  # the others were asked
