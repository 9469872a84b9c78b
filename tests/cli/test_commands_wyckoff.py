"""``nucleate wyckoff`` as it is typed."""

import json

import pytest

from nucleate.cli.main import run

LABEL = "AB_tP2_123_a_d:Ag-Cu"


def call(capsys, *arguments: str):
    with pytest.raises(SystemExit) as end:
        run(["wyckoff", *arguments])
    return end.value.code, capsys.readouterr()


def test_a_table_and_files(tmp_path, capsys) -> None:
    out = tmp_path / "found"
    options = ("-n", "1", "--draws", "4", "--keep", "2", "--calls", "12", "--potential", "ase:emt", "--workers", "1")
    code, printed = call(capsys, LABEL, "-o", str(out), *options)
    assert code == 0, printed.err
    assert "CuAg-1" in printed.out
    assert (out / "ranked.csv").exists()
    assert len(list((out / "cifs").glob("*.cif"))) == 1
    code, printed = call(capsys, LABEL, "-o", str(tmp_path / "one.extxyz"), "--json", *options)
    assert code == 0, printed.err
    assert json.loads(printed.out)["crystals"][0]["rank"] == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("spinel",), "protostructure"),
        (("A_cF4_225_a:He",), "He"),
        ((LABEL, "--method", "guess"), "method"),
        ((LABEL, "--potential", "nothing:at_all"), "potential"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, word: str) -> None:
    code, printed = call(capsys, *arguments, "-o", str(tmp_path / "out"))
    assert code == 2
    lines = [line for line in printed.err.splitlines() if line.startswith("nucleate:")]
    assert len(lines) == 1
    assert word in lines[0]
    assert not (tmp_path / "out").exists()
