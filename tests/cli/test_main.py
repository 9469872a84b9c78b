"""The command line as a user meets it: help, exit codes, one line for each mistake."""

import json
import os
import subprocess
import sys

import pytest

from nucleate.cli.main import run

VERBS = [
    "design",
    "generate",
    "screen",
    "evaluate",
    "train",
    "models",
    "convert",
    "report",
    "data inspect",
    "data potentials",
]
HEAVY = {"torch", "pandas", "pymatgen", "ase", "chgnet", "pyarrow", "plotly", "scipy", "pydantic", "numpy"}


def nucleate(*arguments, **more):
    command = [sys.executable, "-c", "from nucleate.cli.main import run; run()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def test_help_loads_nothing_heavy():
    script = """
import sys
sys.argv = ["nucleate", "--help"]
from nucleate.cli.main import run
try:
    run()
except SystemExit as end:
    print(end.code, *sys.modules, file=sys.stderr)
"""
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    code, *modules = outcome.stderr.split()
    assert code == "0"
    assert HEAVY.isdisjoint(modules)
    assert "Example: nucleate design" in outcome.stdout


def test_import_nucleate_loads_nothing_heavy():
    script = "import sys, nucleate; dir(nucleate); print(*sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert HEAVY.isdisjoint(outcome.stdout.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    outcome = nucleate(*verb.split(), "--help")
    assert outcome.returncode == 0
    assert f"Example: nucleate {verb}" in outcome.stdout


def test_models_as_text_json_and_card():
    assert "substitution" in nucleate("models").stdout
    assert {"random", "substitution"} <= {entry["name"] for entry in json.loads(nucleate("models", "--json").stdout)}
    assert nucleate("models", "random").stdout.startswith("# random")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["design", "nosuch", "-o", "RUN"], "model: found 'nosuch'; expected one of"),
        (["design", "random"], "Missing option"),
        (["design", "random", "-o", "RUN", "-n", "0"], "'-n'"),
        (["design", "random", "-o", "RUN", "--where", "chemical_system=Li-Xx"], "'Xx'; expected a chemical symbol"),
        (["design", "random", "-o", "RUN", "--where", "chemical_system"], "name=value"),
        (["design", "random", "-o", "RUN", "--fmax", "-1"], "fmax"),
        (["design", "random", "-o", "RUN", "--device", "tpu"], "device"),
        (["generate", "nosuch", "-o", "RUN.extxyz"], "model: found 'nosuch'"),
        (["screen", "nosuch.cif", "-o", "RUN"], "nosuch.cif"),
        (["report", "nosuch"], "no run.json"),
        (["models", "nosuch"], "model: found 'nosuch'"),
        (["convert", "nosuch.cif", "out.extxyz"], "nosuch.cif"),
        (["data", "inspect", "nosuch.csv"], "nosuch.csv"),
        (["nosuchverb"], "nosuchverb"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run(arguments)
    printed = capsys.readouterr()
    assert end.value.code == 2, printed.err
    assert expected in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not list(tmp_path.iterdir())


def test_an_internal_failure_is_one_line_and_exit_code_1():
    script = """
import sys
from nucleate.cli import main
def broken():
    raise RuntimeError("a fault\\nof ours")
main.app.command("broken")(broken)
main.run(sys.argv[1:])
"""
    outcome = subprocess.run([sys.executable, "-c", script, "broken"], capture_output=True, text=True)
    assert outcome.returncode == 1
    assert outcome.stderr == "nucleate: internal failure: RuntimeError: a fault of ours; --debug shows where\n"
    outcome = subprocess.run([sys.executable, "-c", script, "broken", "--debug"], capture_output=True, text=True)
    assert "Traceback" in outcome.stderr


def test_ctrl_c_says_how_to_go_on(tmp_path):
    script = """
import sys
from pathlib import Path
from nucleate.cli import main
from nucleate.cli.outcome import resumable
def stopped():
    with resumable(Path("runs/x")):
        raise KeyboardInterrupt
main.app.command("stopped")(stopped)
sys.argv = ["nucleate", "stopped"]
main.run()
"""
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert outcome.returncode == 130
    assert "kept in runs/x" in outcome.stderr
    assert "nucleate stopped --resume" in outcome.stderr


def test_a_reader_that_goes_away_is_no_failure():
    command = (
        f"{sys.executable} -c 'from nucleate.cli.main import run; run()' models | head -c 1; echo ${{PIPESTATUS[0]}}"
    )
    outcome = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in outcome.stderr


def test_waiting_threads_sleep(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with pytest.raises(SystemExit):
        run(["--version"])
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with pytest.raises(SystemExit):
        run(["--version"])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
