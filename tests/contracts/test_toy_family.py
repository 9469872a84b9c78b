"""A family of somebody else's: one file, no edit of ours, from its laws to a run of the main command."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.io.files import write_structures
from nucleate.plugins import VARIABLE
from nucleate.testing.families import LAWS, FamilyCase

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def case():
    sys.path.insert(0, str(HERE))
    from nucleate.families.registry import FAMILIES

    try:
        import toy_family  # noqa: F401 - registers itself

        return FamilyCase.of(FAMILIES.get("toy"))
    finally:
        sys.path.remove(str(HERE))


def test_it_is_one_short_file():
    assert len((HERE / "toy_family.py").read_text().splitlines()) <= 60


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_it_keeps(case, law):
    law(case)


def nucleate(*arguments, folder):
    """The command line in a process of its own, which knows the toy family by its environment alone."""
    paths = os.pathsep.join([str(HERE), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", "from nucleate.cli.main import run; run()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, VARIABLE: "toy_family"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_trained_saved_reloaded_and_asked_for_by_the_command_line(tmp_path, metals):
    edges = [2.9 + 0.02 * i for i in range(30)]
    known = Crystals.from_lists([[29, 79]] * 30, [[[0.0] * 3, [0.5] * 3]] * 30, [torch.eye(3) * a for a in edges])
    write_structures(known, tmp_path / "known.extxyz")
    settings = ["--set", "epochs=3", "--set", "learning_rate=0.1", "--set", "warmup=0"]
    trained = nucleate("train", "toy", "known.extxyz", "-o", "mine", *settings, "--device", "cpu", folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "nucleate design mine" in trained.stderr + trained.stdout
    asked = ["-n", "3", "--where", "chemical_system=Cu-Au", "-o", "run", "--device", "cpu", "--workers", "1"]
    screened = ["--potential", "ase.calculators.emt:EMT", "--reference", metals, "--max-steps", "5"]
    designed = nucleate("design", "mine", *asked, *screened, folder=tmp_path)
    assert designed.returncode == 0, designed.stderr
    ranked = pd.read_csv(tmp_path / "run" / "ranked.csv")
    assert len(ranked) == 3
    assert set(ranked["formula"]) == {"CuAu"}
    stranger = nucleate("generate", "mine", "-n", "1", "-o", "one.cif", "--sampler", "steps=3", folder=tmp_path)
    assert stranger.returncode == 2
    assert stranger.stderr.count("\n") == 1
