"""A potential, an executor and a descriptor of somebody else's, asked for by the main command; no edit of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from nucleate.execution.executor import VARIABLE as EXECUTOR
from nucleate.plugins import VARIABLE as PLUGINS

HERE = Path(__file__).parent
TOYS = ("toy_potential", "toy_executor", "toy_descriptor")


@pytest.mark.parametrize("name", TOYS)
def test_each_is_one_short_file(name):
    assert len((HERE / f"{name}.py").read_text().splitlines()) <= 60


def test_the_command_line_knows_them_by_its_environment_alone(tmp_path, metals):
    paths = os.pathsep.join([str(HERE), *sys.path])
    asked = ["design", "random", "-n", "2", "--where", "chemical_system=Cu-Au", "--where", "n_atoms=2..4", "-o", "run"]
    screened = ["--potential", "toy,depth=0.3", "--reference", metals, "--max-steps", "5", "--workers", "1"]
    found = subprocess.run(
        [sys.executable, "-c", "from nucleate.cli.main import run; run()", *asked, *screened],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, PLUGINS: ",".join(TOYS), EXECUTOR: "toy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "toy executor: 2 items" in found.stderr
    ranked = pd.read_csv(tmp_path / "run" / "ranked.csv")
    assert len(ranked) == 2
    assert ranked["mean_atomic_number"].between(29, 79).all()
    assert ranked["energy_per_atom"].notna().any()
