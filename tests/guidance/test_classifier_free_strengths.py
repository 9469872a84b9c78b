"""Strengths as a user writes them."""

import pytest

from nucleate.errors import UserError
from nucleate.guidance.classifier_free import parse_strengths


def test_strengths_are_read():
    assert parse_strengths([]) is None
    assert parse_strengths(["2.5"]) == 2.5
    assert parse_strengths(["band_gap=3", "compactness = 0"]) == {"band_gap": 3.0, "compactness": 0.0}


@pytest.mark.parametrize(
    "texts", [["-1"], ["nan"], ["inf"], ["much"], ["a=much"], ["a=-2"], ["2", "a=3"], ["a=1", "a=2"], ["=2"], ["a="]]
)
def test_what_is_no_strength_is_named(texts):
    with pytest.raises(UserError, match="--guidance"):
        parse_strengths(texts)
