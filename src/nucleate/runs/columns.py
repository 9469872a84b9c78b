"""The columns of a run's tables, each once: type, unit, the structure that it speaks of, and what it means.

Parquet schemas, ``ranked.csv``, the headings of reports, the units of filters and ``docs/columns.md`` come from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from nucleate.conditions.quantities import QUANTITIES
from nucleate.descriptors.registry import BUILT_IN, DESCRIPTORS, Descriptor

if TYPE_CHECKING:
    import pyarrow as pa

DType = Literal["string", "int64", "double", "bool", "integers", "matrix"]
"""Numbers are 64 bits wide. A matrix is a list of rows, so that any Parquet reader understands it."""
Stage = Literal["generated", "relaxed", "final"]
"""Which structure a value speaks of; the final one is the relaxed one, or that as generated where there is none."""


@dataclass(frozen=True)
class Column:
    """A column of candidates.

    Attributes:
        name: In tables and filters.
        dtype: Of the values; an unknown value is null, never 0.
        unit: Of the values; empty where they have none.
        stage: Which structure the value speaks of.
        label: The name in words, for headings.
        help: What the value is, one line.
        source: Key of the work that defines the value, in ``citations.CITATIONS``; empty where it needs none.
    """

    name: str
    dtype: DType
    unit: str = ""
    stage: Stage = "generated"
    label: str = ""
    help: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name.removeprefix("is_").replace("_", " "))

    @property
    def heading(self) -> str:
        """The label with its unit, such as ``energy above hull (eV/atom)``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


_INPUT = (
    Column("id", "string", help="name of the candidate in this run"),
    Column("model", "string", help="generator that made it, or 'structures' for one that was read"),
    Column("formula", "string", help="reduced formula, such as LiFePO4"),
    Column("chemical_system", "string", help="symbols of the elements in alphabetical order, such as Fe-Li-O-P"),
    Column("n_atoms", "int64", label="atoms", help="atoms in the cell"),
    Column("status", "string", stage="final", help="outcome; ok where every stage ended well"),
    Column("reason", "string", stage="final", help="why the status is not ok; empty where it is"),
    Column("numbers", "integers", label="atomic numbers", help="atomic number of each site; empty without a structure"),
    Column("frac", "matrix", label="fractional coordinates", help="a row for each site, as generated"),
    Column("lattice", "matrix", "Å", help="lattice vectors as rows, as generated"),
)

_SCREENED = (
    Column("relaxed_frac", "matrix", "", "relaxed", "relaxed fractional coordinates", "a row for each site"),
    Column("relaxed_lattice", "matrix", "Å", "relaxed", help="relaxed lattice vectors as rows"),
    Column("energy_per_atom", "double", "eV/atom", "relaxed", "energy", "energy of the potential, per atom"),
    Column(
        "formation_energy",
        "double",
        QUANTITIES["formation_energy"].unit,
        "relaxed",
        help="energy less that of the elements, fitted to the reference, per atom",
    ),
    Column(
        "energy_above_hull",
        "double",
        QUANTITIES["energy_above_hull"].unit,
        "relaxed",
        help="distance to the convex hull of the reference's phases, per atom; negative below it",
    ),
    Column(
        "n_competing_phases",
        "int64",
        "",
        "relaxed",
        "competing phases",
        "compounds of the reference in the chemical system, each composition once",
    ),
    Column("space_group", "int64", help="number of the space group as generated", source="moyopy"),
    Column(
        "relaxed_space_group", "int64", "", "relaxed", help="number of the space group once relaxed", source="moyopy"
    ),
    Column(
        "rmsd_to_relaxed",
        "double",
        "Å",
        "relaxed",
        "RMSD to the relaxed structure",
        "root mean square displacement of the sites from generated to relaxed",
        "mattergen",
    ),
    Column(
        "rmsd_matched",
        "bool",
        "",
        "relaxed",
        help="whether the two structures match; where not, the RMSD is the largest that a match may have",
        source="mattergen",
    ),
    Column("is_valid", "bool", help="distances, density and volume are plausible", source="cdvae"),
    Column("is_unique", "bool", "", "final", help="equals no candidate before it in this run", source="pymatgen"),
    Column("duplicate_of", "string", "", "final", help="id of the first candidate that it equals"),
    Column("is_novel", "bool", "", "final", help="equals no known structure of the reference", source="pymatgen"),
    Column("formula_known", "bool", "", help="the reference has a phase or structure of this reduced formula"),
    Column("is_stable", "bool", "", "relaxed", help="at most the threshold above the hull"),
    Column("meets_request", "bool", help="has the elements, composition, size and space group that were asked for"),
    Column("density", "double", BUILT_IN["density"].unit, help=BUILT_IN["density"].help),
)


def _of_descriptor(one: Descriptor) -> Column:
    return Column(one.name, "double", one.unit, help=one.help, source=one.source)


_DESCRIBED = tuple(_of_descriptor(one) for one in BUILT_IN.values() if one.name != "density")

WHY_UNDEFINED = "undefined_descriptors"
"""Column beside the descriptors: those without a value, and the elements that are the cause where it is elements."""
_UNDEFINED = (Column(WHY_UNDEFINED, "string", help="descriptors without a value, and the elements that are the cause"),)

_PROTOTYPE = (
    Column("has_prototype", "bool", "", "final", help="has the framework of a known structure type", source="pigen"),
    Column("prototype", "string", "", "final", "structure type", "label of the structure type"),
    Column("prototype_name", "string", "", "final", "name of the structure type", "such as perovskite"),
    Column("prototype_rank", "int64", "", "final", help="place among the types compared with, from 0, commonest first"),
)
STOPPED_BY = "stopped_by"
"""The first filter of the run's funnel that a candidate does not pass; null for one that passes all."""
_STOPPED = (Column(STOPPED_BY, "string", "", "final", help="first filter of the funnel that it does not pass"),)

_PRESCREENED = (
    Column("n_elements", "int64", label="elements", help="number of different elements"),
    Column("chemistry_class", "string", help="intermetallic, oxide, halide, chalcogenide, pnictide or other"),
    Column("elements_allowed", "bool", help="every element is one that the search allows"),
    Column("predicted_formation_energy", "double", "eV/atom", help="by a property network, as generated"),
    Column("predicted_saturation_magnetization", "double", "T", help="by a property network, as generated"),
    Column("min_distance", "double", "Å", label="closest atoms", help="shortest distance, periodic images included"),
    Column("is_symmetrized", "bool", help="moved onto the symmetry that it nearly had, before relaxation"),
)
_MAGNETIC = (
    Column("network_magnetization", "double", "T", "relaxed", help="saturation magnetisation by the property network"),
    Column("moments_magnetization", "double", "T", "relaxed", help="the same from CHGNet's moments, all in parallel"),
    Column("symmetry_holds", "bool", "", "relaxed", help="moved onto symmetry, it relaxes to no higher energy"),
)
_MOMENTS = (
    Column(
        "saturation_magnetization",
        "double",
        QUANTITIES["saturation_magnetization"].unit,
        "relaxed",
        help=QUANTITIES["saturation_magnetization"].help,
    ),
    Column(
        "magnetic_density",
        "double",
        QUANTITIES["magnetic_density"].unit,
        "relaxed",
        help=QUANTITIES["magnetic_density"].help,
    ),
)
_CONDITIONS = (
    Column("band_gap", "double", QUANTITIES["band_gap"].unit, help="label of a data set, or what a network predicts"),
    Column(
        "bulk_modulus",
        "double",
        QUANTITIES["bulk_modulus"].unit,
        help="label of a data set, or what a network predicts",
    ),
)
_RANKED = (Column("rank", "int64", stage="final", help="place in the ranked table, from 1"),)

_SECTIONS: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "Of every structure": _INPUT,
        "Of every candidate that was screened": _SCREENED,
        "Descriptors": (*_DESCRIBED, *_UNDEFINED),
        "Of a funnel": (*_PROTOTYPE, *_STOPPED),
        "Of a search for magnets": (*_PRESCREENED, *_MAGNETIC),
        "Of magnetic moments": _MOMENTS,
        "Of conditions and predictions": _CONDITIONS,
        "In ranked.csv": _RANKED,
    }
)

COLUMNS: Mapping[str, Column] = MappingProxyType(
    {column.name: column for section in _SECTIONS.values() for column in section}
)
"""Every column by name."""


def _names(*groups: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for group in groups for column in group)


INPUT_COLUMNS = _names(_INPUT)
"""Columns of ``generated/*.parquet``: the structures as they came, or the reason why one did not."""
CANDIDATE_COLUMNS = _names(_INPUT, _SCREENED)
"""Columns that the candidates of every run have."""
STRUCTURE_COLUMNS = tuple(name for name in CANDIDATE_COLUMNS if COLUMNS[name].dtype in ("integers", "matrix"))
"""Columns that hold the structures themselves."""
PROTOTYPE_COLUMNS = _names(_PROTOTYPE)
"""The structure type of the final crystal; its rank is its place among the types compared with, from 0."""
PRESCREEN_COLUMNS = (
    *INPUT_COLUMNS[:7], "n_elements", "chemistry_class", "elements_allowed", "formula_known",
    "predicted_formation_energy", "predicted_saturation_magnetization", "min_distance", "space_group", "is_symmetrized",
)  # fmt: skip
"""Columns of ``candidates/*.parquet`` of a search for magnets: a row a crystal, without its structure."""
NUMERIC_COLUMNS = tuple(
    column.name
    for column in (*_INPUT, *_SCREENED, *_DESCRIBED, *_PROTOTYPE)
    if column.dtype in ("int64", "double", "bool")
)
"""The columns that a filter may read."""


def described(name: str) -> Column:
    """The column of a name, a plugin's descriptor too; any other is a bare number of the structure as generated."""
    if name in COLUMNS:
        return COLUMNS[name]
    return _of_descriptor(DESCRIPTORS[name]) if name in DESCRIPTORS else Column(name, "double")


def candidate_columns(descriptors: Sequence[str] = (), more: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns of ``candidates/*.parquet``: those of every run, its descriptors, and what a funnel adds."""
    why = (WHY_UNDEFINED,) if descriptors else ()
    return (*CANDIDATE_COLUMNS, *descriptors, *why, *more)


def schema(names: Iterable[str]) -> pa.Schema:
    """Parquet schema of columns, in the order given."""
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "integers": pa.list_(pa.int64()),
        "matrix": pa.list_(pa.list_(pa.float64())),
    }
    return pa.schema([(name, types[described(name).dtype]) for name in names])


def page() -> str:
    """The page ``docs/columns.md``: a table for each section."""
    stages = {"generated": "as generated", "relaxed": "relaxed", "final": "relaxed, else as generated"}
    lines = [
        "# Columns",
        "",
        "The columns of a run's tables. An unknown value is null (an empty field in `ranked.csv`), never 0. A",
        "structure is a list of atomic numbers, a list of fractional coordinates and three lattice vectors;",
        "`ranked.csv` leaves structures out. A source is a key of `nucleate.citations.CITATIONS`.",
        "",
        "This page is written by `make columns` from `nucleate.runs.columns`.",
    ]
    for title, columns in _SECTIONS.items():
        lines += ["", f"## {title}", "", "| column | type | unit | structure | what it is | source |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            "| " + " | ".join((f"`{c.name}`", c.dtype, c.unit, stages[c.stage], c.help, c.source)) + " |"
            for c in columns
        ]
    return "\n".join(lines) + "\n"
