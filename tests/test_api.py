"""Every function of the package can be explained, and says what it takes."""

import inspect

import pytest

import nucleate
from nucleate import api, settings

FUNCTIONS = {name: value for name, value in vars(api).items() if hasattr(value, "settings")}


def test_all_are_public() -> None:
    assert set(FUNCTIONS) <= set(nucleate.__all__)
    assert {"design", "generate", "screen", "compare", "train"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature_and_help_follow_the_settings(name: str) -> None:
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    assert "settings" not in parameters
    assert set(FUNCTIONS[name].settings.keywords()) <= set(parameters)
    for keyword in parameters:
        assert f"\n        {keyword}: " in str(FUNCTIONS[name].__doc__)


def test_settings_stand_in_place_of_keywords() -> None:
    asked = settings.GenerateSettings(model="pseudo-random", n=2, seed=3, where={"n_atoms": "2..4"})
    one, other = nucleate.generate(asked), nucleate.generate("pseudo-random", 2, {"n_atoms": "2..4"}, seed=3)
    assert one.lattice.equal(other.lattice)
