"""Documents that are checked: their links lead somewhere, their commands exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path):
    from typer.testing import CliRunner

    from nucleate.cli.main import app

    blocks = re.findall(r"^\$ (nucleate .*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for command in blocks:
        _, *words = shlex.split(command)
        verb = words[:2] if words[0] == "data" else words[:1]
        help_text = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200"})
        assert help_text.exit_code == 0, command
        for option in (word for word in words if word.startswith("-")):
            assert option in help_text.stdout, f"{option} of {command!r}"


def test_every_verb_is_in_the_readme():
    from nucleate.cli.main import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f"`nucleate {command.name} " in readme or f"`nucleate {command.name}`" in readme


def test_versions_agree():
    import nucleate

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == nucleate.__version__
    assert f"version: {nucleate.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


SNIPPETS = [
    path
    for path in DOCUMENTS
    if "tutorials" not in path.parts and "```python" in path.read_text(encoding="utf-8")  # tutorials: test_tutorials.py
]
ELSEWHERE = "envs/"
"""What snippets with an interpreter of another environment have in them, which a test has not."""


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.name)
def test_python_runs_as_it_stands(path, tmp_path, monkeypatch):
    """Snippets of a page run one after the other; ``crystals`` and ``known`` are there where a page takes them so."""
    from pymatgen.core import Lattice, Structure

    from nucleate.api import as_crystals

    monkeypatch.chdir(tmp_path)
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    crystals = as_crystals([copper, copper.get_primitive_structure()])
    names = {"crystals": crystals, "known": crystals}
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        if ELSEWHERE not in block:
            exec(compile(block, str(path), "exec"), names)
