"""A field of settings is an option, a keyword and a line of help, with nothing else to write."""

import inspect
from typing import Annotated

import pytest
from pydantic import Field

from nucleate.conditions.request import Conditions
from nucleate.errors import UserError
from nucleate.options import CommandSettings, Option, Without, takes
from nucleate.settings import DesignSettings


class Inner(CommandSettings):
    force: Annotated[float, Option(), Field(gt=0, description="Largest force.")] = 0.05
    reference: Annotated[str, Option(), Field(description="What is known.")] = "bundled"
    secret: int = Field(default=1, description="For Python alone.")


class Outer(CommandSettings):
    name: Annotated[str, Option(positional=True), Field(description="Of the thing.")]
    sizes: Annotated[tuple[int, ...], Option("--size"), Field(description="A size.")] = ()
    inner: Annotated[Inner, Without(("reference",))] = Inner(force=0.1)


@takes(Outer, "name")
def made(settings: Outer, out: str = "here") -> tuple[Outer, str]:
    """Make it.

    Raises:
        UserError: It cannot be made.
    """
    return settings, out


def test_inner_settings_give_their_fields_and_a_command_its_defaults() -> None:
    keywords = Outer.keywords()
    assert list(keywords) == ["name", "sizes", "force", "secret"]
    assert keywords["name"].default is ...
    assert keywords["force"].default == 0.1
    assert keywords["secret"].option is None


def test_what_is_told_finds_its_place_and_none_leaves_open() -> None:
    told = Outer.from_keywords({"name": "x", "force": None, "secret": 3})
    assert told == Outer(name="x", inner=Inner(force=0.1, secret=3))
    assert told.inner.model_fields_set == {"force", "secret"}
    assert Outer.from_keywords({"name": "x", "inner": Inner()}).inner == Inner()


@pytest.mark.parametrize(
    ("values", "said"),
    [({"name": "x", "force": -1}, "option force: found -1"), ({"name": "x", "colour": 1}, "colour"), ({}, "name")],
)
def test_what_does_not_fit_is_one_line(values: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Outer.from_keywords(values)


def test_a_function_of_settings_takes_their_keywords() -> None:
    expected = (Outer(name="x", sizes=(1, 2), inner=Inner(force=0.2)), "there")
    assert made("x", sizes=[1, 2], force=0.2, out="there") == expected
    assert made(expected[0], out="there") == expected
    with pytest.raises(TypeError, match="colour"):
        made("x", colour=1)


def test_signature_and_help_name_every_keyword() -> None:
    parameters = inspect.signature(made).parameters
    assert list(parameters) == ["name", "sizes", "force", "secret", "out"]
    assert parameters["force"].default == 0.1
    assert all(f"\n        {name}: " in str(made.__doc__) for name in parameters)
    assert str(made.__doc__).index("Arguments:") < str(made.__doc__).index("Raises:")


def test_conditions_are_parsed_once_and_written_as_text() -> None:
    settings = DesignSettings(model="random", where={"chemical_system": "O-Li"}, allow_subsystems=True)
    assert settings.where == Conditions(chemical_system=(3, 8), allow_subsystems=True)
    assert settings.model_dump(mode="json")["where"] == ["chemical_system=Li-O"]
    assert DesignSettings.model_validate_json(settings.model_dump_json()) == settings
    assert DesignSettings(model="random").where == Conditions()
    with pytest.raises(UserError, match="'Xx'; expected a chemical symbol"):
        DesignSettings.from_keywords({"model": "random", "where": ["chemical_system=Xx"]})
