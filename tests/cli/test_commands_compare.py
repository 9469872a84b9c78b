"""``nucleate compare`` from the command line: a small comparison, its table for machines, one line for mistakes."""

import json

import pandas as pd
import pytest

from nucleate.cli.main import run
from nucleate.data.reference import Reference

EMT = "ase.calculators.emt:EMT"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def made(*arguments):
        with pytest.raises(SystemExit) as end:
            run(["compare", *map(str, arguments)])
        return end.value.code, *capsys.readouterr()

    return made


def test_two_searchers_end_in_a_page_and_a_table(call, tmp_path):
    phases = pd.DataFrame({"id": ["a"], "formula": ["Cu"], "formation_energy": [0.0], "source": ["test"]})
    Reference("metals", {29: 0.0}, phases).save(tmp_path / "metals")
    screening = ["--potential", EMT, "--reference", "metals", "--max-seconds", 2, "--workers", 1, "--funnel", "none"]
    options = ["-n", 2, "-o", "out", "--per-request", 0, *screening]
    code, out, err = call("pseudo-random", *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [row["source"] for row in found["rows"]] == ["pseudo-random"]
    assert "pseudo-random: generate 2/2" in err
    for name in ("comparison.html", "comparison.md", "comparison.csv", "figures/sun.svg", "pseudo-random/report.html"):
        assert (tmp_path / "out" / name).stat().st_size
    code, out, _ = call("pseudo-random", *options)
    assert code == 2
    code, out, err = call("pseudo-random", *options, "--resume")
    assert code == 0, err
    assert "comparison.html" in out
    page = tmp_path / "out" / "comparison.html"
    page.unlink()
    with pytest.raises(SystemExit):
        run(["report", "out"])
    assert page.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("pign-mp",), "'pign-mp'"),
        (("random", "--file", "theirs"), "NAME=PATH"),
        (("random", "--file", "a=missing.cif"), "missing.cif"),
        (("random", "--reference", "nowhere"), "'nowhere'"),
        (("random", "--data", "missing.csv"), "missing.csv"),
        (("random", "--funnel", "nowhere"), "--funnel"),
        (("random", "-n", "0"), "-n"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(call, tmp_path, arguments, expected):
    code, out, err = call(*arguments, "-o", "out")
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert expected in err
    assert not (tmp_path / "out").exists()
