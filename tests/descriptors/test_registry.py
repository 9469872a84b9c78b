"""The registry, and what every descriptor must obey."""

import pytest
import torch

from nucleate.citations import CITATIONS
from nucleate.descriptors.registry import CHEAP, DESCRIPTORS, descriptor_table, select
from nucleate.errors import UserError

BROKEN = ["not a number", "infinite coordinate", "zero volume", "flat cell", "no atom"]
NEEDS_NO_GEOMETRY = {"hhi_score", "hhi_production", "charge_balance"}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_descriptor_is_documented(name):
    descriptor = DESCRIPTORS[name]
    assert descriptor.name == name
    assert callable(descriptor.function)
    assert descriptor.source == "" or descriptor.source in CITATIONS


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_bad_crystals_are_undefined_and_leave_the_others_alone(samples, name):
    good = [samples.ROCK_SALT, samples.PEROVSKITE]
    cells = [*samples.BROKEN.values(), *good, *samples.STRANGE.values()]
    function = DESCRIPTORS[name].function
    found = function(samples.batch(*cells))
    assert found.shape == (len(cells),)
    assert found.dtype == torch.float64
    assert not found.isinf().any()
    if name not in NEEDS_NO_GEOMETRY:
        assert found[: len(samples.BROKEN)].isnan().all()
    assert found[samples_index("no atom")].isnan()
    start = len(samples.BROKEN)
    torch.testing.assert_close(found[start : start + 2], function(samples.batch(*good)))
    assert found[start : start + 2].isfinite().all()


def samples_index(name: str) -> int:
    return BROKEN.index(name)


def test_undefined_elements_are_named(samples):
    crystals = samples.batch(samples.STRANGE["noble gases"], samples.ROCK_SALT, samples.STRANGE["beyond the tables"])
    assert DESCRIPTORS["compactness"].undefined_elements(crystals) == ["He, Xe", "", "Md"]
    assert DESCRIPTORS["density"].undefined_elements(crystals) == ["", "", ""]


def test_the_table_has_what_was_asked_for(samples):
    crystals = samples.batch(samples.ROCK_SALT)
    assert list(descriptor_table(crystals, ["density", "compactness"])) == ["compactness", "density"]
    assert tuple(descriptor_table(crystals)) == CHEAP
    assert descriptor_table(crystals, []) == {}


def test_selection():
    assert select("none") == ()
    assert select("all") == tuple(DESCRIPTORS)
    assert select(" density ,compactness") == ("compactness", "density")
    with pytest.raises(UserError, match="found 'speed'; expected all, cheap, none, or some of compactness"):
        select("density,speed")
