"""Which page a folder gets is what its record says, whatever else lies there."""

import json

import pytest

from nucleate.errors import UserError
from nucleate.report import build_page


def test_a_run_gets_the_page_of_runs_whatever_lies_beside(make_run):
    folder = make_run()
    for name in ("magnets.json", "comparison.json", "phase_diagram.json"):
        (folder / name).write_text("{}")
    assert build_page(folder) == folder / "report.html"


@pytest.mark.parametrize(
    ("kind", "settings", "command"),
    [
        ("magnets", {"models": ["random"]}, "magnets"),
        ("comparison", {"models": ["random"]}, "compare"),
        ("exploration", {"system": "Cu-Au"}, "phase-diagram"),
    ],
)
def test_an_unfinished_folder_of_another_kind_is_one_clear_line(make_run, kind, settings, command):
    folder = make_run(kind=kind, settings=settings)
    with pytest.raises(UserError, match=f"`nucleate {command}` finished"):
        build_page(folder)


def test_a_folder_of_another_format_is_refused(make_run):
    folder = make_run()
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"format_version": 1}))
    with pytest.raises(UserError, match=r"format version 1, made by Nucleate .*make it anew with `nucleate design`"):
        build_page(folder)
