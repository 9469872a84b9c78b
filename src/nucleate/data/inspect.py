"""Contents of a data set, as a dictionary for machines and as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import JsonValue
from rich.console import Group
from rich.table import Table
from rich.text import Text

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import chemical_systems, count_table, reduced_formulas
from nucleate.data.dataset import Dataset

if TYPE_CHECKING:
    from rich.console import RenderableType

_BINS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 20))
_PERCENTILES = (5, 50, 95)


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Counts, ranges and gaps of a dataset; plain numbers and texts only, so that it can be written as JSON.

    Returns:
        ``source``, ``digest``, ``rows``, ``failed`` (row from 1, id, reason), ``repeated_ids``, ``atoms``
        (smallest, mean, largest, ``histogram`` by number of atoms), ``number_of_elements``, ``elements``
        (crystals that contain each), ``formulas`` and ``chemical_systems`` (how many different ones),
        ``volume_per_atom`` (Å³) and ``columns``.
    """
    crystals = dataset.crystals
    counts = count_table(crystals)
    present = counts > 0
    atoms = crystals.n_atoms.numpy()
    volume = (crystals.volume / crystals.n_atoms).numpy()
    containing = present.sum(axis=0)
    sizes, crystals_of_size = np.unique(present.sum(axis=1), return_counts=True)
    return {
        "source": dataset.source,
        "digest": dataset.digest,
        "rows": len(dataset),
        "failed": [
            {"row": failure.row + 1, "id": failure.id, "reason": failure.reason} for failure in dataset.failures
        ],
        "repeated_ids": len(dataset) - len(set(dataset.ids)),
        "atoms": {
            "smallest": int(atoms.min()),
            "mean": float(atoms.mean()),
            "largest": int(atoms.max()),
            "histogram": _histogram(atoms),
        },
        "number_of_elements": {int(k): int(n) for k, n in zip(sizes, crystals_of_size, strict=True)},
        "elements": {SYMBOLS[z]: int(containing[z]) for z in np.flatnonzero(containing)},
        "formulas": len(set(reduced_formulas(crystals))),
        "chemical_systems": len(set(chemical_systems(crystals))),
        "volume_per_atom": _range(volume),
        "columns": [_column(str(name), dataset.table[name]) for name in dataset.table.columns if name != "id"],
    }


def rendered(summary: dict[str, Any]) -> RenderableType:
    """A summary as tables for a terminal."""
    atoms = summary["atoms"]
    lines = [
        Text.assemble((summary["source"], "bold"), f"  {summary['rows']:,} crystals"),
        Text(
            f"{summary['formulas']:,} formulas in {summary['chemical_systems']:,} chemical systems, "
            f"{len(summary['elements'])} elements, {atoms['smallest']} to {atoms['largest']} atoms "
            f"(mean {atoms['mean']:.1f}), {summary['volume_per_atom']['median']:.1f} Å³ an atom (median)"
        ),
    ]
    if summary["repeated_ids"]:
        lines.append(Text(f"{summary['repeated_ids']:,} rows repeat an id", "yellow"))
    for failure in summary["failed"][:5]:
        lines.append(Text(f"row {failure['row']} ({failure['id']}) left out: {failure['reason']}", "yellow"))
    if len(summary["failed"]) > 5:
        lines.append(Text(f"and {len(summary['failed']) - 5:,} more rows left out", "yellow"))

    shapes = Table("atoms", "crystals", "", box=None, header_style="dim")
    _bars(shapes, atoms["histogram"])
    _bars(shapes, {_kind(k): n for k, n in summary["number_of_elements"].items()})

    common = sorted(summary["elements"].items(), key=lambda item: -item[1])
    elements = Text.assemble(("elements  ", "dim"), "  ".join(f"{symbol} {n:,}" for symbol, n in common[:24]))
    if len(common) > 24:
        elements.append("  rarest " + "  ".join(f"{symbol} {n:,}" for symbol, n in common[-6:]), "dim")

    columns = Table("column", "kind", "missing", "min", "5 %", "median", "95 %", "max", box=None, header_style="dim")
    for column in summary["columns"]:
        missing = f"{column['missing']:,} ({column['missing'] / summary['rows']:.0%})" if column["missing"] else "-"
        if column["kind"] == "empty":
            values = [""] * 5
        elif "median" in column:
            values = [f"{column[key]:.4g}" for key in ("min", "p5", "median", "p95", "max")]
        else:
            values = [f"{column['different']:,} different", "", "", "", ""]
        columns.add_row(column["name"], column["kind"], missing, *values)
    return Group(*lines, Text(), shapes, Text(), elements, Text(), columns)


def _histogram(atoms: np.ndarray) -> dict[str, int]:
    bins = {f"{low}-{high}": int(((atoms >= low) & (atoms <= high)).sum()) for low, high in _BINS}
    more = int((atoms > _BINS[-1][1]).sum())
    return bins | ({f">{_BINS[-1][1]}": more} if more else {})


def _column(name: str, values: pd.Series) -> dict[str, JsonValue]:
    missing = int(values.isna().sum())
    if missing == len(values):
        return {"name": name, "kind": "empty", "missing": missing}
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.dropna().to_numpy(dtype=np.float64)
        return {"name": name, "kind": "number", "missing": missing, **_range(numbers)}
    different = int(values.dropna().astype(str).nunique())
    return {"name": name, "kind": "text", "missing": missing, "different": different}


def _range(values: np.ndarray) -> dict[str, float]:
    """Smallest, 5th percentile, median, 95th percentile and largest; nothing for no values."""
    if not values.size:
        return {}
    between = np.isfinite(values).all()  # no value lies between a number and infinity
    low, middle, high = np.percentile(values, _PERCENTILES, method="linear" if between else "nearest")
    return {
        "min": float(values.min()),
        "p5": float(low),
        "median": float(middle),
        "p95": float(high),
        "max": float(values.max()),
    }


def _bars(table: Any, counts: dict[str, int]) -> None:
    largest = max(counts.values(), default=1)
    for name, n in counts.items():
        table.add_row(name, f"{n:,}", "█" * round(30 * n / largest), style=None if n else "dim")


def _kind(n: int) -> str:
    return f"{n} element" + ("s" if n > 1 else "")
