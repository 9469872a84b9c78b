"""A journey through the commands: what one writes, the next one reads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from nucleate.cli.main import run
from nucleate.data.reference import Reference
from nucleate.io.files import read_structures

EMT = "ase.calculators.emt:EMT"
SYSTEM = ["--where", "chemical_system=Cu-Au", "--where", "n_atoms=2..4"]


@pytest.fixture
def reference(tmp_path):
    phases = pd.DataFrame(
        {"id": ["a", "b"], "formula": ["Cu", "Au"], "formation_energy": [0.0, 0.0], "source": ["test", "test"]}
    )
    Reference("metals", {29: 0.0, 79: 0.0}, phases).save(tmp_path / "reference")
    return str(tmp_path / "reference")


@pytest.fixture
def nucleate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert end.value.code == 0, printed.err
        return printed.out

    return call


def test_a_conversion_names_what_is_lost(nucleate, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    frame = '1\nLattice="3 0 0 0 3 0 0 0 3" energy=-1 pbc="T T {}"\nCu 0 0 0\n'
    (folder / "a.xyz").write_text(frame.format("T") + frame.format("F"))
    (folder / "notes.txt").write_text("no structure")
    with pytest.raises(SystemExit) as end:
        run(["convert", "mixed", "out.cif"])
    said = capsys.readouterr().err
    assert end.value.code == 0
    assert "notes.txt" in said
    assert "row 2 (a-2): no cell that is periodic" in said
    assert "without a place in out.cif: energy" in said
    assert "1 crystals in out.cif, 1 rows are none" in said
    (folder / "a.xyz").write_text(frame.format("F"))
    with pytest.raises(SystemExit) as end:
        run(["convert", "mixed", "none.cif"])
    assert end.value.code == 2
    assert not (tmp_path / "none.cif").exists()


def test_structures_go_through_generate_convert_screen_and_evaluate(nucleate, reference, tmp_path):
    screening = ["--potential", EMT, "--reference", reference, "--workers", 1]
    made = json.loads(nucleate("generate", "random", "-n", 3, *SYSTEM, "-o", "made.extxyz", "--json"))
    assert made["n"] == 3
    converted = json.loads(nucleate("convert", "made.extxyz", "made.csv", "--json"))
    assert converted == {"n": 3, "out": "made.csv", "failed": [], "skipped": [], "left_out": []}
    assert read_structures(tmp_path / "made.csv").ids == ["c000000", "c000001", "c000002"]

    found = json.loads(nucleate("data", "inspect", "made.csv", "--json"))
    assert found["rows"] == 3
    assert "made.csv" in nucleate("data", "inspect", "made.csv")

    screened = json.loads(nucleate("screen", "made.csv", "-o", "run", *screening, "--json"))
    assert [row["rank"] for row in screened["best"]] == [1, 2, 3]
    assert screened["summary"]["protocol"]["n_requested"] == 3
    page = tmp_path / "run" / "report.html"
    page.unlink()
    assert nucleate("report", "run").strip() == "run/report.html"
    assert page.stat().st_size > 10_000

    metrics = json.loads(nucleate("evaluate", "made.csv", "--no-relax", *screening, "--json"))
    assert {"valid", "unique", "stable"} <= {row["name"] for row in metrics["metrics"]}


def test_design_prints_a_table_and_writes_a_report(nucleate, reference, tmp_path):
    shown = nucleate("design", "random", "-n", 2, *SYSTEM, "-o", "run", "--potential", EMT, "--reference", reference)
    assert "Best candidates" in shown
    assert "c000000" in shown
    assert "denominator" in shown
    assert (tmp_path / "run" / "report.html").exists()


def test_three_rows_and_a_column_train_a_model_that_designs(nucleate, reference, tmp_path):
    nucleate("generate", "random", "-n", 3, *SYSTEM, "-o", "mine.csv")
    table = pd.read_csv("mine.csv").assign(hardness=[1.0, 2.0, None])
    table.to_csv("mine.csv", index=False)
    small = ["hidden=16", "layers=1", "epochs=2", "sampler.steps=4"]
    settings = [word for setting in small for word in ("--set", setting)]
    model = json.loads(nucleate("train", "diffcsp", "mine.csv", "-o", "mine", *settings, "--json"))["model"]
    made = json.loads(nucleate("generate", model, "-n", 2, *SYSTEM, "-o", "made.parquet", "--json"))
    assert made["model"] == "mine"
    assert set(read_structures(tmp_path / "made.parquet").crystals.numbers.unique().tolist()) <= {0, 29, 79}
    assert "mine" in nucleate("models", model)


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(reference, tmp_path):
    slow = "slow_emt:SlowEMT"
    arguments = ["design", "random", "-n", "12", *SYSTEM, "-o", "run", "--potential", slow, "--reference", reference]
    command = [sys.executable, "-c", "from nucleate.cli.main import run; run()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    child = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    while child.poll() is None and not list(tmp_path.glob("run/journal/*.jsonl")):
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    _, printed = child.communicate(timeout=120)
    assert child.returncode == 130
    assert "what is finished is kept in run" in printed
    assert f"-o run --potential {slow} --reference {reference} --resume" in printed
    assert "Traceback" not in printed
