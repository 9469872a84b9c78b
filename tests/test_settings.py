"""Settings of commands: every field is explained, and every option is spelled in one way only."""

import inspect

import pytest

from nucleate import settings
from nucleate.errors import UserError
from nucleate.options import CommandSettings
from nucleate.settings import CompareSettings, MagnetSettings, ScreenSettings

CLASSES = [
    value for value in vars(settings).values()
    if inspect.isclass(value) and issubclass(value, CommandSettings) and value is not CommandSettings
]  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_every_field_is_explained_and_no_option_is_spelled_twice(kind: type[CommandSettings]) -> None:
    keywords = kind.keywords()
    assert all(keyword.help.endswith((".", "...")) or "," in keyword.help for keyword in keywords.values())
    flags = [
        keyword.option.flag or f"--{name.replace('_', '-')}" for name, keyword in keywords.items() if keyword.option
    ]
    assert len(set(flags)) == len(flags)


def test_relaxation_can_be_left_out() -> None:
    plain = ScreenSettings(seed=4).without_relaxation()
    assert plain.relaxation == "none (structures as given)"
    assert plain.seed == 4
    assert ScreenSettings.model_validate_json(plain.model_dump_json()) == plain
    assert "rattled" in ScreenSettings().relaxation


def test_the_first_of_a_comparison_is_not_said_twice() -> None:
    assert CompareSettings().screen.funnel == "pigen"
    assert "reference" not in CompareSettings.keywords()
    assert CompareSettings.from_keywords({"references": "mine", "fmax": 0.1}).screen.funnel == "pigen"


def test_elements_are_a_text_or_several() -> None:
    assert MagnetSettings(elements="Fe, Co") == MagnetSettings(elements=("Fe", "Co"))
    with pytest.raises(UserError, match="--elements"):
        MagnetSettings.from_keywords({"elements": " , "})


@pytest.mark.parametrize("items", [["epochs"], ["=3"], ["epochs="]])
def test_overrides_have_names_and_values(items: list[str]) -> None:
    with pytest.raises(UserError, match="--set.*NAME=VALUE"):
        settings.TrainSettings.from_keywords({"family": "pigen", "data": "x.csv", "overrides": items})
