"""Typography, escaping, templates and tables."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.report import document


def test_formula_lowers_counts_only():
    assert document.formula("Li2(SO3)2") == "Li<sub>2</sub>(SO<sub>3</sub>)<sub>2</sub>"
    assert document.formula("Fe0.5O") == "Fe<sub>0.5</sub>O"


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_no_text_becomes_markup(content):
    shown = str(document.formula(content))
    stripped = shown.replace("<sub>", "").replace("</sub>", "")
    assert not set("<>\"'") & set(stripped)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40, alphabet="ABab'&<>()\"0123456789"))
def test_escapes_survive_subscripts(content):
    from html import unescape

    shown = str(document.formula(content)).replace("<sub>", "").replace("</sub>", "")
    assert unescape(shown) == content


def test_numbers():
    assert document.number(-0.0001) == "0.000"
    assert document.number(-1.25, 2) == "\N{MINUS SIGN}1.25"
    assert document.number(math.nan) == document.number(None) == document.number(math.inf) == document.MISSING
    assert [document.percent(x) for x in (0, 0.062, 0.5, 1)] == ["0 %", "6.2 %", "50 %", "100 %"]
    assert [document.duration(x) for x in (1.25, 75, 3725)] == ["1.2 s", "1 min 15 s", "1 h 2 min"]


def test_timestamps():
    assert document.timestamp("2026-11-20T23:51:12.5Z") == "2026-11-20 23:51 UTC"
    assert document.timestamp("<yesterday>") == "<yesterday>"


def test_space_groups_agree_with_pymatgen():
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    for number in range(1, 231):
        symbol = sg_symbol_from_int_number(number)
        # pymatgen writes the unique axis of monoclinic groups, P121 for P2
        assert document.space_group_name(number) == re.sub(r"^([A-Z])1(.+)1$", r"\1\2", symbol)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(194, "<i>P</i>6<sub>3</sub>/mmc"), (2, '<i>P</i><span class="over">1</span>'), (0, document.MISSING)],
)
def test_space_group_typography(number, shown):
    assert document.space_group_symbol(number) == shown


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_formulas_in_figures_keep_their_signs(content):
    shown = document.formula_text(content)
    assert shown.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")) == content.translate(
        str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
    )


def test_symbols_in_figures():
    assert document.formula_text("Li2(SO3)2") == "Li₂(SO₃)₂"
    assert document.space_group_text(194) == "P6₃/mmc"
    assert document.space_group_text(2) == "P1\N{COMBINING OVERLINE}"


def test_every_template_escapes_and_compiles():
    environment = document.environment()
    for name in environment.list_templates():
        environment.get_template(name)
        assert environment.autoescape(name) == name.endswith(".html")


def test_a_page_carries_its_style_and_lets_nothing_in():
    table = document.Table(("a", "<b>"), (("<i>", "2"),), title="<title>")
    works = {"hull": document.Table((), ()), "methods": table, "phases": table}
    page = document.document(
        "phase_diagram.html", "<t>", {"hull": "<Hull>"}, subtitle="<s>", warnings=["<w>"], protocol="<p>",
        runs={"<n>": ("javascript:alert(1)", "<asked>")}, **works | {"hull": _Nothing()},
    )  # fmt: skip
    for tag in ("<b>", "<i>", "<s>", "<w>", "<n>", "<asked>", "<Hull>", "<t>"):
        assert tag not in page.replace("<b>Read this first</b>", "")
    assert "&lt;w&gt;" in page
    assert "script-src 'none'" in page
    assert 'href="./javascript%3Aalert%281%29/report.html"' in page


class _Nothing:
    svg, title, keys, lead, notes = "", "", (), "", ()


def test_a_table_reads_well_in_a_terminal():
    table = document.Table(("name", "n"), (("long name", "1"), ("b", "22")))
    assert str(table).splitlines() == ["name       n", "long name  1", "b          22"]
    assert table.to_dict() == {"rows": [{"name": "long name", "n": "1"}, {"name": "b", "n": "22"}]}
