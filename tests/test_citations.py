"""The table of works to cite."""

import re

import pytest

from nucleate.citations import CITATIONS, citations
from nucleate.errors import UserError


def test_every_work_has_a_reference_and_a_whole_bibtex_entry() -> None:
    for key, work in CITATIONS.items():
        assert work.key == key
        assert work.used_for
        assert ".." not in work.text
        assert work.bibtex.startswith("@")
        assert f"{{{key}," in work.bibtex
        assert work.bibtex.count("{") == work.bibtex.count("}")
        assert re.search(r"author = \{.+\}", work.bibtex)
        assert work.url == "" or work.url.startswith("https://")


def test_order_of_first_naming_without_repeats() -> None:
    assert [work.key for work in citations(["chgnet", "ase", "chgnet"])] == ["chgnet", "ase"]


def test_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="chgnet"):
        citations(["nonsense"])
