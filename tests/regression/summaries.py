"""What is kept of the files of a case: numbers and labels, without prose, times, versions and paths.

Tables are columns of values; a cell is its three lengths and three angles; a weight is its shape, sum and norm.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PASSING = re.compile(
    r"second|hour|cost|timing|version|sha256|hardware|with relaxation|^(settings|protocol|report|page)$"
)
"""Names of what differs between two equal runs, or says with what they were made."""
PROSE = {"notes", "text", "title", "caption", "source", "summary", "origin", "explanation", "unit"}
"""Names whose sentences may be put in other words."""
LEFT_OUT = {"run.json", "reference.json", "magnets.json", "base_rate.json"}
"""The last two are printed as well."""
MOST_CIFS = 8
"""Of a folder; what they hold stands in the tables as well, in another setting."""
READ = {".parquet", ".csv", ".json", ".cif", ".extxyz", ".zip", ".vasp", ".safetensors"}


def summary_of(printed: Iterable[object], folder: Path, given: Iterable[str] = ()) -> dict[str, Any]:
    """What commands printed and left in a folder.

    Arguments:
        printed: The JSON of each command.
        folder: Where they ran.
        given: Files that were there before.
    """
    kept: dict[str, Any] = {"printed": [_plain(each) for each in printed]}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in set(given) and _is_read(path, folder):
            kept[name] = _file(path)
    return kept


def _is_read(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    if path.name in LEFT_OUT or "generated" in parts or "checkpoint" in path.name:
        return False
    nested = len(parts) > 2 and path.name != "orderings.csv"  # of a run inside a comparison, its candidates are enough
    if nested and path.suffix in {".csv", ".json", ".cif"} and parts[-2] != "cifs" and path.name != "losses.csv":
        return False
    if path.suffix == ".cif" and (len(parts) > 3 or path not in sorted(path.parent.glob("*.cif"))[:MOST_CIFS]):
        return False
    return path.suffix in READ or path.name.startswith("INCAR")


def _file(path: Path) -> Any:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        return _table(parquet.read_table(path).to_pylist())
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: _number(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
        return _table(rows)
    if path.suffix == ".json":
        return _plain(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".safetensors":
        return _weights(path)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: _cif(archive.read(name).decode()) for name in sorted(archive.namelist())}
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".cif":
        return _cif(text)
    return [_number(word) for word in re.findall(r"[^\s=\"]+", text)]


def _cif(text: str) -> dict[str, Any]:
    """Cell, space group and sites of the asymmetric unit."""
    numbers = {
        name: float(value) for name, value in re.findall(r"^_cell_(length_\w|angle_\w+)\s+([\d.]+)", text, re.MULTILINE)
    }
    group = re.search(r"^_(?:symmetry_Int_Tables_number|space_group_IT_number)\s+(\d+)", text, re.MULTILINE)
    cell = [_short(numbers[f"length_{name}"]) for name in "abc"]
    cell += [_short(numbers[f"angle_{name}"]) for name in ("alpha", "beta", "gamma")]
    sites = re.findall(r"^\s*([A-Z][a-z]?[+\-\d]*\s+\S+.*\d)\s*$", text, re.MULTILINE)
    words = sorted([_number(word) for word in site.split()] for site in sites if len(site.split()) >= 5)
    return {"lattice": cell, "space_group": int(group.group(1)) if group else None, "sites": words}


def _weights(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {
        name: [list(tensor.shape), _short(tensor.double().sum().item()), _short(tensor.double().norm().item())]
        for name, tensor in sorted(load_file(path).items())
    }


def _table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Columns of the rows that do not speak of time."""
    rows = [row for row in rows if not any(isinstance(cell, str) and PASSING.search(cell) for cell in row.values())]
    names = dict.fromkeys(name for row in rows for name in row)
    if {"count", "total"} <= set(names):
        rows = [row for row in rows if row.get("group", "all") == "all"]  # the sizes of crystals are as many again
    names = dict.fromkeys(name for name in names if not _follows(name, set(names)))
    columns = {name: [_cell(name, row.get(name)) for row in rows] for name in names if not PASSING.search(name)}
    return {name: cells for name, cells in columns.items() if name not in PROSE or not _speaks(cells)}


def _follows(name: str, names: set[str]) -> bool:
    """Whether it is the interval of a count, or the share in the reference beside that in a run."""
    return (name in ("low", "high") and {"count", "total"} <= names) or (name == "expected" and "found" in names)


def _speaks(value: object) -> bool:
    """Whether it is a sentence, or some."""
    return any(map(_speaks, value)) if isinstance(value, list) else isinstance(value, str) and " " in value


def _cell(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value):
        return None
    if name == "reason":  # in other words tomorrow
        return True
    if name == "cif" and isinstance(value, str):
        return _cif(value) if "_cell_length_a" in value else None
    if name.endswith("lattice") and isinstance(value, list):
        return _cell_parameters(value) if value and value[0] else None
    if name.endswith("frac") and isinstance(value, list):
        return [round(x % 1, 4) for site in value for x in site]
    return _plain(value)


def _cell_parameters(rows: list[list[float]]) -> list[float]:
    """Lengths in Å and angles in degrees of a cell whose vectors are rows."""
    lengths = [math.hypot(*row) for row in rows]
    angles = [
        math.degrees(math.acos(sum(x * y for x, y in zip(rows[i], rows[j], strict=True)) / lengths[i] / lengths[j]))
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    return [_short(x) for x in lengths + angles]


def _plain(value: Any) -> Any:
    """JSON without what passes; a list of mappings becomes a table."""
    if isinstance(value, Mapping):
        kept = {name: each for name, each in value.items() if not PASSING.search(name)}
        return {name: _plain(each) for name, each in kept.items() if name not in PROSE or not _speaks(each)}
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return _table(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _short(value) if isinstance(value, float) else value


def _short(x: float) -> float | None:
    return None if math.isnan(x) else float(f"{x:.6g}")


def _number(word: str | None) -> Any:
    """An integer, a number or a word."""
    for kind in (int, float):
        try:
            return _plain(kind(word))  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            continue
    return word


def written(summary: Mapping[str, Any]) -> str:
    """As JSON, a column a line."""
    out = io.StringIO()
    _write(summary, out, 0)
    return out.getvalue() + "\n"


def _write(value: Any, out: io.StringIO, depth: int) -> None:
    if isinstance(value, dict) and depth < 4 and len(json.dumps(value)) > 100:
        out.write("{")
        for i, (name, each) in enumerate(value.items()):
            out.write(("," if i else "") + "\n" + " " * (depth + 1) + json.dumps(name, ensure_ascii=False) + ": ")
            _write(each, out, depth + 1)
        out.write("\n" + " " * depth + "}")
    else:
        out.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def differences(expected: Any, found: Any, place: str = "", scale: float = 1.0) -> list[str]:
    """Where two summaries differ by more than the noise of a processor; names that only ``found`` has do not count.

    Arguments:
        expected, found: Summaries.
        place: Where in them this is.
        scale: Of all tolerances; 0 wants the same digits.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{place}/{name}: missing" for name in expected if name not in found]
        inside = [differences(each, found[name], f"{place}/{name}", scale)
                  for name, each in expected.items() if name in found]  # fmt: skip
        return missing + [line for lines in inside for line in lines]
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return [f"{place}: {len(expected)} entries, now {len(found)}"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{place}/{i}", scale)]
    if _same(expected, found, place, scale):
        return []
    return [f"{place}: {expected!r}, now {found!r}"]


def _same(expected: Any, found: Any, place: str, scale: float) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (expected, found))
    if not numbers or (isinstance(expected, int) and isinstance(found, int)):
        return type(expected) is type(found) and expected == found
    gap = abs(expected - found)
    if "frac" in place:
        gap = min(gap % 1, 1 - gap % 1)
    return gap <= scale * _tolerance(place, abs(expected))


def _tolerance(place: str, size: float) -> float:
    """In the unit of the number at a place."""
    if "energy" in place:
        return 2e-3  # eV/atom
    if "lattice" in place:
        return 1e-2 if int(place.rsplit("/", 1)[-1]) < 3 else 0.2  # Å, degrees
    if "frac" in place:
        return 5e-3
    return 1e-2 + 1e-2 * size if "safetensors" in place else 2e-3 + 5e-3 * size
