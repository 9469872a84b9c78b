"""Space groups by their symbols."""

import moyopy
import pytest

from nucleate.conditions.request import Conditions
from nucleate.errors import UserError
from nucleate.symmetry.space_group import N_GROUPS, space_group_number

GROUPS = range(1, N_GROUPS + 1)


def test_numbers_and_symbols():
    assert space_group_number("Fd-3m") == 227
    assert space_group_number("P2_1/c") == space_group_number("P 1 2_1/c 1") == 14
    assert space_group_number(" 62 ") == 62


@pytest.mark.parametrize("form", ["hm_short", "hm_full"])
def test_every_group_has_its_symbols(form):
    assert [space_group_number(getattr(moyopy.SpaceGroupType(g), form)) for g in GROUPS] == list(GROUPS)


def test_a_request_takes_a_symbol():
    assert Conditions.parse(["space_group=P6_3/mmc"]) == Conditions.parse(["space_group=194"])


@pytest.mark.parametrize("text", ["0", "231", "Fd-3q", "", "-3", "²"])
def test_neither(text):
    with pytest.raises(UserError, match="1 to 230"):
        space_group_number(text)
