"""Options are made from settings: adding a field adds an option, with its help and bounds."""

from typing import Annotated

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from nucleate import settings as known
from nucleate.cli.options import command
from nucleate.options import CommandSettings, Option


class ToySettings(CommandSettings):
    name: Annotated[str, Option(positional=True), Field(description="Of the thing.")]
    n: Annotated[int, Option("-n"), Field(ge=1, description="How many.")] = 16
    parts: Annotated[tuple[str, ...], Option("--part"), Field(description="A part; repeat for more.")] = ()
    grow: Annotated[bool | None, Option("--grow/--shrink", default="as it is"), Field(description="Size.")] = None
    width: Annotated[float, Option(default="0.5, or the shape's", panel="Shape"), Field(description="Å.")] = 0.5
    hidden: int = Field(default=3, description="For Python alone.")


@pytest.fixture
def call(monkeypatch):
    monkeypatch.setattr(known, "ToySettings", ToySettings, raising=False)
    app, seen = typer.Typer(), []
    app.callback()(lambda: None)

    @command(app, "toy", "toy x -n 2")
    def toy(settings: "ToySettings", out: Annotated[str, typer.Option("-o")]) -> None:
        """Do it."""
        seen.append((settings, out))

    def run(*arguments):
        found = CliRunner().invoke(app, ["toy", *arguments], env={"COLUMNS": "200"})
        return found, seen[-1] if seen else None

    return run


def test_values_arrive_and_what_is_left_open_stays_so(call):
    _, (settings, out) = call("x", "-o", "there", "-n", "2", "--part", "a", "--part", "b", "--shrink")
    assert settings == ToySettings(name="x", n=2, parts=("a", "b"), grow=False)
    assert out == "there"
    assert "width" not in settings.model_fields_set
    _, (settings, _) = call("x", "-o", "there", "--width", "0.5")
    assert "width" in settings.model_fields_set


def test_help_has_everything_but_what_is_for_python(call):
    shown = call("--help")[0].output
    for text in (
        "Do it.",
        "Of the thing.",
        "-n",
        "How many.",
        "[default: 16]",
        "--shrink",
        "0.5, or the shape's",
        "Shape",
    ):
        assert text in shown
    assert "hidden" not in shown
    assert "Example: toy x -n 2" in shown


@pytest.mark.parametrize("arguments", [["x", "-o", "there", "-n", "0"], ["x"], ["x", "-o", "there", "--hidden", "3"]])
def test_a_mistake_ends_with_code_2(call, arguments):
    assert call(*arguments)[0].exit_code == 2
