"""Tables of a comparison as plain text, for the page and for Markdown alike."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from nucleate.errors import UserError
from nucleate.evaluation.benchmark import ALL, ALL_STAGES, CHANCE, DISTANCE, GENERATION, NOT_ASKED, ON_TARGET
from nucleate.evaluation.summary import ATOM_BINS
from nucleate.report.document import MISSING, Table, compact, number, percent
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS

RMSD, HULL = "RMSD to the relaxed structure (Å)", "energy above hull (eV/atom)"
SIZES = tuple(f"{low}-{high} atoms" for low, high in ATOM_BINS)


@dataclass(frozen=True)
class Compared:
    """A comparison as ``nucleate compare`` leaves it.

    Attributes:
        record: Content of ``comparison.json``.
        table: Content of ``comparison.csv``.
    """

    record: dict[str, Any]
    table: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Compared:
        """Raises:
        UserError: The folder holds no comparison.
        """
        try:
            record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
            table = pd.read_csv(folder / "comparison.csv", keep_default_na=False, na_values=[""])
            table = table.assign(reference=table["reference"].fillna(""))
            _ = record["sources"], record["references"], record["protocol"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(str(folder), str(error), "a folder that `nucleate compare` finished") from None
        return cls(record, table)

    @property
    def sources(self) -> list[str]:
        """Names of what is compared, in the order asked for."""
        return [str(one["label"]) for one in self.record["sources"]]

    @property
    def references(self) -> list[str]:
        """Names of the references, the runs' own first."""
        return [str(name) for name in self.record["references"]]

    def get(self, source: str, metric: str, subset: str = ALL, reference: str | None = None, group: str = "all") -> Any:
        """The row of a number, by ``value``, ``low``, ``high``, ``count``, ``total``, ``median``; None without one."""
        key = (source, subset, self.references[0] if reference is None else reference, metric, group)
        return self._rows.get(key)

    @cached_property
    def _rows(self) -> dict[Any, Any]:
        keys = self.table[["source", "subset", "reference", "metric", "group"]].itertuples(index=False, name=None)
        rows = list(zip(keys, self.table.to_dict("records"), strict=True))
        return dict(reversed(rows))  # the first of equal keys counts


def headline(found: Compared, subset: str = ALL) -> Table:
    """The figures that decide which model to use."""
    heads = ["source", *[f"S.U.N., {name}" for name in found.references]]
    heads += ["on or below the hull", "valid", "P1 relaxed", "S.U.N. a core-hour, generation", "with relaxation"]
    rows = []
    for source in found.sources:
        row = [source, *[share(found.get(source, "S.U.N.", subset, name)) for name in found.references]]
        row += [share(found.get(source, name, subset)) for name in ("on or below the hull", "valid", "P1 relaxed")]
        row += [speed(found.get(source, name, subset)) for name in (GENERATION, ALL_STAGES)]
        rows.append(tuple(row))
    return Table(tuple(heads), tuple(rows))


def rates(found: Compared, subset: str) -> list[Table]:
    """Every rate over the whole set, and the two distances."""
    own = ("unique", "relaxed", "prototype matched", "valid S.U.N.")
    heads = ["source", "crystals", *own]
    judged = ("novel", "stable", "on or below the hull")
    heads += [f"{metric}, {name}" for name in found.references for metric in judged]
    rows, means = [], []
    for source in found.sources:
        valid = found.get(source, "valid", subset)
        row = [source, MISSING if valid is None else f"{valid['total']:.0f}"]
        row += [share(found.get(source, metric, subset)) for metric in own]
        row += [share(found.get(source, metric, subset, name)) for name in found.references for metric in judged]
        rows.append(tuple(row))
        far = [mean(found.get(source, HULL, subset, name)) for name in found.references]
        unmatched = share(found.get(source, "no match with its relaxed structure", subset))
        means.append((source, *far, mean(found.get(source, RMSD, subset)), unmatched))
    names = [f"energy above hull, {name} (eV/atom)" for name in found.references]
    lengths = Table(
        ("source", *names, "RMSD to relaxed (Å)", "without a match"),
        tuple(means),
        note="Median; mean with its 95 % interval. A crystal without a match counts with the fallback of the RMSD.",
    )
    return [Table(tuple(heads), tuple(rows)), lengths]


def by_size(found: Compared, subset: str) -> list[Table]:
    """Validity and S.U.N. by the number of atoms; S.U.N. by the number of elements."""
    elements = [group for group in ("1 element", *[f"{n} elements" for n in range(2, 8)]) if _any(found, group, subset)]
    tables = []
    for title, metric, groups in (
        ("Valid, by atoms in the cell", "valid", SIZES),
        (f"S.U.N., by atoms in the cell ({found.references[0]})", "S.U.N.", SIZES),
        (f"S.U.N., by elements ({found.references[0]})", "S.U.N.", elements),
    ):
        rows = tuple(
            (source, *[share(found.get(source, metric, subset, group=group)) for group in groups])
            for source in found.sources
        )
        tables.append(Table(("source", *groups), rows, title))
    return tables


def symmetry(found: Compared, subset: str) -> list[Table]:
    """P1, distance of the space groups to the data, and crystal systems after relaxation."""
    rows, systems = [], []
    for source in found.sources:
        row = [source, *[share(found.get(source, f"P1 {state}", subset)) for state in ("as generated", "relaxed")]]
        for state in ("as generated", "relaxed"):
            row += [plain(found.get(source, metric, subset, group=state)) for metric in (DISTANCE, CHANCE)]
        rows.append(tuple(row))
        systems.append(
            (source, *[share(found.get(source, "crystal system", subset, group=name)) for name in CRYSTAL_SYSTEMS])
        )
    heads = (
        "source",
        "P1 as generated",
        "P1 relaxed",
        "distance as generated",
        "of the data itself",
        "distance relaxed",
        "of the data itself ",
    )
    note = (
        f"Jensen-Shannon distance of the space groups to those of {found.record['data']}, 0 to 1, at 0.1 Å; beside it "
        "that of as many crystals of the data, which no model can undercut."
    )
    return [
        Table(heads, tuple(rows), note=note),
        Table(("source", *CRYSTAL_SYSTEMS), tuple(systems), "Crystal systems of the relaxed crystals"),
    ]


def funnel(found: Compared, subset: str) -> list[Table]:
    """Share of crystals that passes each filter and all before it."""
    mask = found.table["metric"].eq("funnel, in sequence") & found.table["subset"].eq(subset)
    steps = list(dict.fromkeys(found.table.loc[mask, "group"]))
    if not steps:
        return []
    rows = tuple(
        (source, *[share(found.get(source, "funnel, in sequence", subset, group=step)) for step in steps])
        for source in found.sources
    )
    return [Table(("source", *steps), rows, note="Share of all that passes the filter and every one before it.")]


def requests(found: Compared) -> list[Table]:
    """Shares on target, beside those of crystals that were not asked."""
    asked = found.record.get("requests") or []
    if not asked:
        return []
    made = [str(one["label"]) for one in found.record["sources"] if one["kind"] != "file"]
    rows = []
    for one in asked:
        where = str(one["where"])
        cells = []
        for source in made:
            cell = share(found.get(source, ON_TARGET, reference="", group=where))
            free = found.get(source, NOT_ASKED, reference="", group=where)
            cells.append(cell if free is None or cell == MISSING else f"{cell}; not asked {percent(free['value'])}")
        rows.append((where, str(one["counts_if"]), *cells))
    note = (
        f"{found.record['per_request']} crystals a request, unknown is off target; {MISSING} where a model does not "
        "offer the condition. Descriptors are those of the crystal as generated, energies those of the relaxed one."
    )
    tables = [Table(("asked for", "on target", *made), tuple(rows), note=note)]
    unjudged = [
        (str(one["label"]), ", ".join(one["unjudged"])) for one in found.record["sources"] if one.get("unjudged")
    ]
    if unjudged:
        tables.append(Table(("source", "conditions offered that nothing here judges"), tuple(unjudged)))
    return tables


def costs(found: Compared) -> Table:
    """Time a crystal, size and training of each model."""
    rows = []
    for one in found.record["sources"]:
        cost = one.get("costs", {})
        rows.append(
            (
                str(one["label"]),
                compact(cost.get("generation")),
                compact(cost.get("relaxation and judging")),
                speed(found.get(one["label"], GENERATION)),
                speed(found.get(one["label"], ALL_STAGES)),
                f"{one['parameters']:,}" if one.get("parameters") else MISSING,
                f"{one['training_seconds'] / 3600:.1f}" if one.get("training_seconds") else MISSING,
                f"{one['training_crystals']:,}" if one.get("training_crystals") else MISSING,
                str(one.get("training_hardware") or MISSING),
            )
        )
    heads = (
        "source",
        "generation (core-s)",
        "relaxation and judging (core-s)",
        "S.U.N. a core-hour, generation",
        "with relaxation",
        "parameters",
        "training (h)",
        "training crystals",
        "trained on",
    )
    note = (
        "Processor time a crystal, all threads, over all sessions of the run; rejected drawings, fillings and every "
        "call of a potential while generating are in it, loading the model is not."
    )
    return Table(heads, tuple(rows), note=note)


def share(row: Any) -> str:
    """A rate with its interval, in percent."""
    if row is None or not row["total"] or not math.isfinite(row["value"]):
        return MISSING
    return f"{percent(row['value'])} ({_bare(row['low'])} to {_bare(row['high'])})"


def speed(row: Any) -> str:
    """Crystals an hour with their interval."""
    if row is None or not math.isfinite(row["value"]):
        return MISSING
    return f"{_whole(row['value'])} ({_whole(row['low'])} to {_whole(row['high'])})"


def mean(row: Any) -> str:
    """A median, and the mean with its interval."""
    if row is None or not math.isfinite(row["value"]):
        return MISSING
    low, high = row["low"], row["high"]
    between = f" ({number(low)} to {number(high)})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{number(row['median'])}; {number(row['value'])}{between}"


def plain(row: Any) -> str:
    """A number without an interval."""
    return MISSING if row is None else number(row["value"])


def _bare(value: float) -> str:
    return percent(value).removesuffix(" %")


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _any(found: Compared, group: str, subset: str) -> bool:
    table = found.table
    return bool((table["group"].eq(group) & table["subset"].eq(subset)).any())


def tables_of(found: Compared, subset: str) -> dict[str, Sequence[Table]]:
    """The tables of a subset by the section that they stand in."""
    return {
        "Summary": [headline(found, subset)],
        "Rates": rates(found, subset),
        "Size": by_size(found, subset),
        "Symmetry": symmetry(found, subset),
        "Funnel": funnel(found, subset),
    }
