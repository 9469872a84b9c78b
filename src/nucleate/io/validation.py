"""From untrusted structures to a checked batch: a structure that cannot be a crystal becomes a reason, not a crash."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure, batched
from nucleate.errors import Status

MAX_SLOTS = 50_000_000
"""Sites of a batch with padding (about 1.6 GB); large crystals in large batches are refused."""

FARTHEST = 1e6
"""Fractional coordinates beyond this have lost their digits."""
OVERLAP = 0.1
"""Å; atoms closer than this are one site written twice, not a bond."""

READ_AS = "read_as"
"""Property that says what of a row was read otherwise than it stands in the file."""

SOURCE_FILE = "source_file"
"""Property with the path of the file in the folder or archive that a row comes from."""

Value: TypeAlias = "str | int | float | list[Value]"
"""A property of one crystal: text, a number, or numbers in lists, such as forces (n, 3)."""

RESERVED = frozenset(("id", "cif", "numbers", "frac", "lattice"))
"""Names of columns that hold the structure itself."""

_MAX_INTEGER = 2**63  # of a column of integers
_NEIGHBOURS = 8
_SMALL = 256  # sites up to which all pairs are cheaper than a tree


@dataclass(frozen=True)
class Validated:
    """The crystals that passed.

    Attributes:
        crystals: Batch of those that passed, in order, float64.
        rows: Position of each of them in the input.
        reasons: Position in the input and reason of each that did not.
    """

    crystals: Crystals
    rows: list[int]
    reasons: dict[int, str]


def validate(entries: Sequence[ParsedStructure | str]) -> Validated:
    """Check structures and batch those that are crystals; an entry that is text is a reason already.

    Refused are crystals that are empty, too large, not finite, flat, or that hold unknown elements or two
    atoms closer than ``OVERLAP``.
    """
    limit = max(1000, min(MAX_SITES, MAX_SLOTS // max(len(entries), 1)))
    reasons: dict[int, str] = {}
    rows: list[int] = []
    for row, entry in enumerate(entries):
        reason = entry if isinstance(entry, str) else _refusal(entry, limit)
        if reason:
            reasons[row] = reason
        else:
            rows.append(row)
    raws = [entry for entry in (entries[row] for row in rows) if isinstance(entry, ParsedStructure)]
    crystals = batched(raws)
    for k, reason in _overlaps(crystals).items():
        reasons[rows[k]] = reason
    if len(rows) + len(reasons) > len(entries):
        keep = [k for k, row in enumerate(rows) if row not in reasons]
        crystals, rows = crystals[keep], [rows[k] for k in keep]
    return Validated(crystals, rows, dict(sorted(reasons.items())))


def _refusal(raw: ParsedStructure, limit: int) -> str:
    n = len(raw.numbers)
    if n == 0:
        return "no atoms"
    if n > limit:
        return f"{n:,} sites; at most {limit:,} are read"
    if not (np.isfinite(raw.frac).all() and np.isfinite(raw.lattice).all()):
        return "a coordinate or a lattice parameter is not a finite number"
    unknown = raw.numbers[(raw.numbers < 1) | (raw.numbers >= len(SYMBOLS))]
    if unknown.size:
        return f"unknown element with number {unknown[0]}"
    if np.abs(raw.frac).max() > FARTHEST:
        return f"a fractional coordinate of {np.abs(raw.frac).max():.3g}"
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(raw.lattice, axis=1)
    if lengths.min() < 0.5 or lengths.max() > 1e4:
        return f"lattice vectors of {lengths.min():.3g} to {lengths.max():.3g} Å"
    if abs(np.linalg.det(raw.lattice)) < 1e-3 * lengths.prod():
        return "a flat cell (volume near 0)"
    return ""


def _overlaps(crystals: Crystals) -> dict[int, str]:
    """Reason for each crystal with two atoms closer than ``OVERLAP``.

    Rounding to the nearest image finds such pairs for sure where every height of the cell exceeds twice
    the distance; flatter cells are left to the checks of geometry, which search all images.
    """
    found: dict[int, str] = {}
    counts = crystals.n_atoms
    small = torch.nonzero(counts <= _SMALL).flatten()
    order = small[torch.argsort(counts[small])]
    start = 0
    while start < len(order):
        n = int(counts[order[min(start + 1023, len(order) - 1)]])
        size = max(1, min(1024, 2_000_000 // (n * n)))
        chunk = order[start : start + size]
        start += size
        part = crystals[chunk]
        delta = part.frac[:, :, None] - part.frac[:, None]
        distance = torch.linalg.vector_norm((delta - delta.round()) @ part.lattice[:, None], dim=-1)
        pairs = torch.triu(part.mask[:, :, None] & part.mask[:, None], diagonal=1)
        close = (distance < OVERLAP) & pairs
        for k in torch.nonzero(close.any(dim=(1, 2))).flatten().tolist():
            i, j = torch.nonzero(close[k])[0].tolist()
            found[int(chunk[k])] = _overlap_reason(part.numbers[k].numpy(), i, j, float(distance[k, i, j]))
    for k in torch.nonzero(counts > _SMALL).flatten().tolist():
        numbers, frac, lattice = (value.numpy() for value in crystals.sites(k))
        pair = _close_pair(frac, lattice)
        if pair:
            found[k] = _overlap_reason(numbers, *pair)
    return found


def _close_pair(frac: np.ndarray, lattice: np.ndarray) -> tuple[int, int, float] | None:
    """A pair closer than ``OVERLAP`` in a large crystal, found with a tree over the atoms and ghosts at the faces."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    margin = OVERLAP / heights
    points, owner = frac, np.arange(len(frac))
    for axis in range(3):
        low, high = points[:, axis] < margin[axis], points[:, axis] > 1 - margin[axis]
        step = np.eye(3)[axis]
        points = np.concatenate([points, points[low] + step, points[high] - step])
        owner = np.concatenate([owner, owner[low], owner[high]])
    cart = points @ lattice
    # A few neighbours of each, since all pairs of many atoms at one place would fill the memory.
    distances, neighbours = cKDTree(cart).query(cart, k=_NEIGHBOURS, distance_upper_bound=OVERLAP)
    others = np.append(owner, -1)[neighbours]  # a neighbour that is not there is numbered beyond the last
    distances[(others == owner[:, None]) | (others < 0)] = np.inf
    i, k = np.unravel_index(int(distances.argmin()), distances.shape)
    found = float(distances[i, k])
    return (int(owner[i]), int(others[i, k]), found) if found < OVERLAP else None


def _overlap_reason(numbers: np.ndarray, i: int, j: int, distance: float) -> str:
    first, second = f"{SYMBOLS[numbers[i]]} (site {i + 1})", f"{SYMBOLS[numbers[j]]} (site {j + 1})"
    return f"overlapping atoms: {first} and {second} are {distance:.3f} Å apart"


@dataclass(frozen=True)
class Record:
    """One structure of a file.

    Attributes:
        entry: Its sites, or the reason why there are none.
        id: Its name, None where the file has none.
        properties: What else the file says of it, by name.
    """

    entry: ParsedStructure | str
    id: str | None = None
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A row that is no crystal.

    Attributes:
        row: Position in the file, from 0.
        id: Name of the row.
        status: What went wrong.
        reason: One line for the user.
    """

    row: int
    id: str
    status: Status
    reason: str


@dataclass(frozen=True)
class StructureFile:
    """Crystals of a file in their order.

    Attributes:
        crystals: Batch of the B rows that are crystals, float64.
        ids: Their names.
        rows: Their positions in the file, from 0.
        failures: The other rows.
        properties: Further columns of the file, one row a crystal (index 0 to B - 1); None where it has none.
        skipped: Names of files in the folder or archive that hold no structures.
    """

    crystals: Crystals
    ids: list[str]
    rows: list[int]
    failures: tuple[Failure, ...] = ()
    properties: pd.DataFrame | None = field(default=None, compare=False)
    skipped: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows of the file, with those that failed."""
        return len(self.ids) + len(self.failures)


def gather(
    entries: Sequence[ParsedStructure | str], ids: Sequence[str], properties: pd.DataFrame | None = None
) -> StructureFile:
    """Check the rows of a file and batch those that are crystals; an entry that is text is a reason already.

    Where a row was repaired, the property ``READ_AS`` says how.
    """
    validated = validate(entries)
    if any(entry.notes for entry in entries if not isinstance(entry, str)):
        properties = _with_notes(properties, entries)
    failures = tuple(Failure(row, ids[row], Status.INVALID_INPUT, reason) for row, reason in validated.reasons.items())
    if properties is not None:
        properties = properties.iloc[validated.rows].reset_index(drop=True)
    return StructureFile(validated.crystals, [ids[row] for row in validated.rows], validated.rows, failures, properties)


def _with_notes(properties: pd.DataFrame | None, entries: Sequence[ParsedStructure | str]) -> pd.DataFrame:
    """The properties with the column ``READ_AS``, empty where a row was read as it stands."""
    notes = [None if isinstance(entry, str) or not entry.notes else "; ".join(entry.notes) for entry in entries]
    table = pd.DataFrame(index=range(len(entries))) if properties is None else properties.reset_index(drop=True)
    return table.assign(**{READ_AS: notes})


def default_ids(n: int) -> list[str]:
    """Names for rows without one: their positions, padded so that text order is row order."""
    width = max(5, len(str(max(n - 1, 0))))
    return [f"{row:0{width}d}" for row in range(n)]


def gather_records(records: Sequence[Record]) -> StructureFile:
    """Check records and batch those that are crystals; their properties are a table with a column for each name."""
    fallback = default_ids(len(records))
    ids = [fallback[row] if record.id is None else _writable(record.id) for row, record in enumerate(records)]
    columns: dict[str, list[Value | None]] = {}
    for row, record in enumerate(records):
        for name, value in record.properties.items():
            columns.setdefault(_writable(name), [None] * len(records))[row] = value
    known = {name: _alike(values) for name, values in columns.items() if name not in RESERVED}
    return gather([record.entry for record in records], ids, pd.DataFrame(known) if known else None)


def _alike(values: Sequence[Value | None]) -> list[Value | None]:
    """Values of one kind, such as numbers or lists of lists of numbers; those of several kinds all as text."""
    if len({_kind(value) for value in values if value is not None}) <= 1:
        return list(values)
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]


def _kind(value: Value) -> str:
    if isinstance(value, list):
        inner = {_kind(item) for item in value}
        return f"list of {inner.pop()}" if len(inner) == 1 else "mixed" if inner else "list of number"
    return "text" if isinstance(value, str) else "truth" if isinstance(value, bool) else "number"


def _writable(text: str) -> str:
    """Text without the halves of characters that no encoding can write."""
    return text.encode("utf-8", errors="replace").decode()


def plain(value: object, depth: int = 4) -> Value | None:
    """A value without the types of a library; dictionaries become JSON, and None stands for what is no property.

    Lists deeper than ``depth`` are none.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return json.dumps(value, default=str)
    if isinstance(value, list | tuple):
        items = [plain(item, depth - 1) for item in value] if depth else [None]
        return None if any(item is None for item in items) else [item for item in items if item is not None]
    if isinstance(value, str):
        return _writable(value)
    if isinstance(value, int) and abs(value) >= _MAX_INTEGER:
        return str(value)
    return value if isinstance(value, int | float) else None


def present(properties: pd.DataFrame | None, n: int) -> list[dict[str, Value]]:
    """Properties of each of n crystals, without those that are missing."""
    if properties is None:
        return [{} for _ in range(n)]
    rows: list[dict[str, Value]] = []
    for row in properties.to_dict("records"):
        values = {str(name): plain(value) for name, value in row.items()}
        rows.append({name: value for name, value in values.items() if value is not None and value == value})
    return rows
