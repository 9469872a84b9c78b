"""The tutorials are run as they stand: commands and Python in order, in an empty folder."""

import importlib.util
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _script():
    spec = importlib.util.spec_from_file_location("tutorials", ROOT / "scripts" / "tutorials.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tutorials = _script()
PAGES = tutorials.pages()


def call(command):
    from nucleate.cli.main import run

    program, *arguments = shlex.split(command)
    assert program == "nucleate"
    with pytest.raises(SystemExit) as end:
        run(arguments)
    return end.value.code


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_tutorial_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = path.read_text(encoding="utf-8")
    namespace = {}
    for block in tutorials.blocks(page):
        for command in block.commands if block.kind == "console" else ():
            assert call(command) == 0, f"{command}\n{capsys.readouterr().err}"
        if block.kind == "python":
            tutorials.printed_by(block.text, path.name, namespace)
    missing = [name for name in tutorials.files_named(page) if not (tmp_path / name).exists()]
    assert not missing


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "reference").glob("*.md")), ids=lambda path: path.stem)
def test_python_of_the_reference_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in tutorials.blocks(path.read_text(encoding="utf-8")):
        tutorials.printed_by(block.text, path.name, namespace)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_options_in_the_text_exist(path):
    from click import Context
    from typer.main import get_command

    from nucleate.cli.main import app

    known = set()
    groups = [get_command(app)]
    while groups:
        for command in groups.pop().commands.values():
            groups += [command] if hasattr(command, "commands") else []
            parameters = command.get_params(Context(command))
            known |= {text for parameter in parameters for text in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [name for name in tutorials.options_named(path.read_text(encoding="utf-8")) if name not in known]
    assert not unknown


def test_pages_show_what_their_commands_print():
    for path in PAGES:
        found = tutorials.blocks(path.read_text(encoding="utf-8"))
        assert any(block.kind == "console" for block in found), path
        for block in found:
            if block.kind == "console":
                lines = block.text.splitlines()
                assert len(lines) > len(block.commands), f"{path.name}: no output below {block.commands}"


def test_pictures_are_small_and_there():
    pictures = sorted((ROOT / "docs" / "images" / "tutorials").glob("*.png"))
    assert {path.stem for path in pictures} == set(tutorials.PICTURES)
    sizes = [path.stat().st_size for path in pictures]
    assert max(sizes) <= tutorials.LARGEST_PICTURE
    assert sum(sizes) <= 1_000_000


def test_blocks_commands_and_names_are_found():
    page = (
        "Look at `runs/a/x.csv`, `my.csv` and `--resume`.\n\n"
        "```console\n$ nucleate design m -o runs/b --seed 1\nprinted\n```\n\n```python\nprint(1)\n```\n"
    )
    console, python = tutorials.blocks(page)
    assert (console.kind, console.commands) == ("console", ["nucleate design m -o runs/b --seed 1"])
    assert tutorials.printed_by(python.text, "page", {}) == "1\n"
    assert tutorials.files_named(page) == ["runs/a/x.csv", "my.csv", "runs/b"]
    assert tutorials.options_named(page) == ["--resume"]
