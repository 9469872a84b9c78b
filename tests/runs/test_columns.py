"""The table of columns: each once, with a meaning, and the same in schemas, filters and the page."""

from pathlib import Path

import pyarrow as pa
import pytest

from nucleate.citations import CITATIONS
from nucleate.descriptors.registry import BUILT_IN
from nucleate.runs.columns import (
    CANDIDATE_COLUMNS,
    COLUMNS,
    INPUT_COLUMNS,
    NUMERIC_COLUMNS,
    PRESCREEN_COLUMNS,
    STRUCTURE_COLUMNS,
    candidate_columns,
    described,
    page,
    schema,
)
from nucleate.screening.filters import Filter

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_that_of_the_table():
    assert (DOCS / "columns.md").read_text(encoding="utf-8") == page()


def test_the_page_names_every_column_once():
    assert all(page().count(f"| `{name}` |") == 1 for name in COLUMNS)


@pytest.mark.parametrize("column", COLUMNS.values(), ids=list(COLUMNS))
def test_a_column_says_what_it_is(column):
    assert column.label
    assert len(column.help.split()) > 1
    assert not column.help.endswith(".")
    assert not column.source or column.source in CITATIONS
    if column.dtype in ("string", "bool"):
        assert not column.unit


def test_descriptors_are_columns_with_their_units():
    for name, descriptor in BUILT_IN.items():
        assert (COLUMNS[name].unit, COLUMNS[name].help) == (descriptor.unit, descriptor.help)


def test_a_filter_takes_unit_and_stage_from_its_column():
    for name in NUMERIC_COLUMNS:
        rule = Filter.parse("rule", f"{name} is known")
        assert (rule.unit, rule.stage) == (COLUMNS[name].unit, COLUMNS[name].stage)


def test_schemas_keep_the_order_and_the_types():
    found = schema(candidate_columns(("compactness",), ("stopped_by",)))
    assert found.names == [*CANDIDATE_COLUMNS, "compactness", "undefined_descriptors", "stopped_by"]
    assert found.names[: len(INPUT_COLUMNS)] == list(INPUT_COLUMNS)
    assert found.field("energy_above_hull").type == pa.float64()
    assert found.field("relaxed_frac").type == pa.list_(pa.list_(pa.float64()))
    assert found.field("is_unique").type == pa.bool_()
    assert set(PRESCREEN_COLUMNS) <= set(COLUMNS)


def test_no_filter_reads_a_text_or_a_structure():
    assert not set(NUMERIC_COLUMNS) & set(STRUCTURE_COLUMNS)
    assert {COLUMNS[name].dtype for name in NUMERIC_COLUMNS} == {"int64", "double", "bool"}


def test_an_unknown_column_is_a_bare_number():
    column = described("tensile_strength")
    assert (column.dtype, column.unit, column.heading) == ("double", "", "tensile strength")
    assert described("density").heading == "density (g/cm³)"
