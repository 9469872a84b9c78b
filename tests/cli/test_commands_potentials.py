"""``--potential`` and ``--python`` as a user meets them."""

import json
import sys

import pytest

from nucleate.cli.main import run
from nucleate.crystal.crystals import Crystals
from nucleate.io.files import write_structures

FCC = [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]]


@pytest.fixture(autouse=True)
def copper(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crystals = Crystals.from_lists(
        [[29], [92]], [[[0.0, 0.0, 0.0]]] * 2, [FCC, [[1.3 * x for x in row] for row in FCC]]
    )
    write_structures(crystals, tmp_path / "cu.extxyz")


def nucleate(*arguments):
    with pytest.raises(SystemExit) as end:
        run(list(arguments))
    return end.value.code


def test_what_a_calculator_prints_is_no_result(tmp_path, capfd, monkeypatch):
    (tmp_path / "talkative.py").write_text(
        "from ase.calculators.emt import EMT\n\n\nclass Talkative(EMT):\n"
        "    def calculate(self, *arguments, **options):\n        print('step')\n"
        "        super().calculate(*arguments, **options)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert nucleate("evaluate", "cu.extxyz", "--potential", "talkative:Talkative", "--workers", "1", "--json") == 0
    told = capfd.readouterr()
    assert json.loads(told.out)["statuses"] == {"no_reference": 1, "error": 1}
    assert "step" in told.err


THERE = ["--potential", "ase:emt", "--python", sys.executable, "--workers", "1", "--json"]


def test_a_run_in_another_interpreter_and_a_reference_of_its_own(capsys, tmp_path):
    assert nucleate("screen", "cu.extxyz", "-o", "run", *THERE) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in shown["best"]] == ["no_reference", "error"]
    assert any("no crystal has a hull distance" in warning for warning in shown["summary"]["warnings"])
    protocol = json.loads((tmp_path / "run" / "run.json").read_text())["protocol"]
    assert sys.executable in protocol["potential"]
    assert "no distances to the hull" in protocol["reference"]

    assert nucleate("data", "reference", "cu.extxyz", "-o", "emt", *THERE) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["scale"] == "ase:emt"
    assert made["coverage"]["failed"] >= 1
    assert nucleate("evaluate", "cu.extxyz", "--no-relax", *THERE, "--reference", "emt") == 0
    summary = json.loads(capsys.readouterr().out)
    assert "ase:emt (ase" in summary["protocol"]["potential"]
    assert summary["statuses"] == {"ok": 1, "error": 1}


@pytest.mark.parametrize(
    "verb",
    [
        ["screen", "cu.extxyz", "-o", "out"],
        ["design", "random", "-n", "2", "-o", "out"],
        ["evaluate", "cu.extxyz"],
        ["data", "reference", "cu.extxyz", "-o", "out"],
    ],
    ids=["screen", "design", "evaluate", "reference"],
)
@pytest.mark.parametrize(
    ("potential", "python", "expected"),
    [
        ("nosuch", None, "expected chgnet, ase:NAME, module:CLASS, or one of mace"),
        ("ase:emt", "/no/such/python", "--python: found /no/such/python, which does not exist"),
        ("mace", sys.executable, "pip install mace-torch"),
        ("chgnet", sys.executable, "chgnet, which is built in"),
    ],
    ids=["name", "path", "package", "chgnet"],
)
def test_a_mistake_is_one_line_and_leaves_nothing(capsys, tmp_path, verb, potential, python, expected):
    assert nucleate(*verb, "--potential", potential, *(["--python", python] if python else [])) == 2
    told = capsys.readouterr()
    assert expected in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["cu.extxyz"]
