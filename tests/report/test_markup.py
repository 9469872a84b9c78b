"""Typography and escaping."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.report import markup


def test_formula_lowers_counts_only():
    assert markup.formula("Li2(SO3)2") == "Li<sub>2</sub>(SO<sub>3</sub>)<sub>2</sub>"
    assert markup.formula("Fe0.5O") == "Fe<sub>0.5</sub>O"


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_no_text_becomes_markup(content):
    for shown in (markup.text(content), markup.formula(content), markup.formula_svg(content)):
        stripped = shown
        for tag in ("<sub>", "</sub>", "</tspan>"):
            stripped = stripped.replace(tag, "")
        assert stripped.count("<") == stripped.count("<tspan dy=")
        if "<tspan" not in shown:
            assert '"' not in shown
            assert "'" not in shown


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40, alphabet="ABab'&<>()\"0123456789"))
def test_escapes_survive_subscripts(content):
    from html import unescape

    shown = markup.formula(content).replace("<sub>", "").replace("</sub>", "")
    assert unescape(shown) == content


def test_numbers():
    assert markup.number(-0.0001) == "0.000"
    assert markup.number(-1.25, 2) == "\N{MINUS SIGN}1.25"
    assert markup.number(math.nan) == markup.number(None) == markup.number(math.inf) == markup.MISSING
    assert [markup.percent(x) for x in (0, 0.062, 0.5, 1)] == ["0 %", "6.2 %", "50 %", "100 %"]
    assert [markup.duration(x) for x in (1.25, 75, 3725)] == ["1.2 s", "1 min 15 s", "1 h 2 min"]


def test_timestamps():
    assert markup.timestamp("2026-11-20T23:51:12.5Z") == "2026-11-20 23:51 UTC"
    assert markup.timestamp("<yesterday>") == "&lt;yesterday&gt;"


def test_space_groups_agree_with_pymatgen():
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    for number in range(1, 231):
        symbol = sg_symbol_from_int_number(number)
        # pymatgen writes the unique axis of monoclinic groups, P121 for P2
        assert markup.space_group_name(number) == re.sub(r"^([A-Z])1(.+)1$", r"\1\2", symbol)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(194, "<i>P</i>6<sub>3</sub>/mmc"), (2, '<i>P</i><span class="over">1</span>'), (0, markup.MISSING)],
)
def test_space_group_typography(number, shown):
    assert markup.space_group_symbol(number) == shown
