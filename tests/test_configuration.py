"""Configurations are checked once, and a preset is changed by name."""

import pytest

from nucleate.configuration import Settings, from_preset
from nucleate.errors import UserError


class Sampler(Settings):
    steps: int = 10


class Model(Settings):
    width: int = 4
    sampler: Sampler = Sampler()


PRESETS = {"small": Model, "large": lambda: Model(width=64)}


def test_a_preset_is_changed_also_inside_a_setting() -> None:
    assert from_preset(Model, PRESETS, "small", None) == Model()
    changed = from_preset(Model, PRESETS, "small", {"preset": "large", "sampler.steps": 3})
    assert changed == Model(width=64, sampler=Sampler(steps=3))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"preset": "huge"}, "one of small, large"),
        ({"depth": 3}, "one of preset, width, sampler"),
        ({"sampler.order": 2}, "sampler.order"),
        ({"width": "wide"}, "--set width: found 'wide'; expected a valid integer"),
    ],
)
def test_what_does_not_fit_names_the_setting(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_preset(Model, PRESETS, "small", overrides)


def test_settings_are_frozen_and_known() -> None:
    with pytest.raises(UserError, match="option depth"):
        Model.checked({"depth": 1})
    with pytest.raises(ValueError, match="frozen"):
        Model().width = 3
