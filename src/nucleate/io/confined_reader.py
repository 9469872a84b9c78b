"""Read files of other programs in a process of its own: ``python -P -m nucleate.io.confined_reader FOLDER``.

The files are strangers', and the libraries that read them have no bounds of their own. Standard input is a JSON list of
``[k, kind, path, seconds, bytes]``; before each file, processor time and memory are limited to so much more than what
was used. File k leaves ``k.npz`` (counts, numbers, frac and lattice of its structures) and ``k.json`` (name, reason,
notes and properties of each) or, where it cannot be read, the one ``{"error": ..., "foreign": ...}``; a file without
these ended the process. A Parquet table leaves ``k.arrow``.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from nucleate.io.structure_json import Sites, SitesError, structures_of

MAX_STRUCTURES = 500_000
MAX_CELLS = 40_000_000
"""Rows times columns of a table."""


class RefusedError(Exception):
    """Why a file is not read."""


class ForeignError(RefusedError):
    """Why a sound file has nothing to be read."""


@dataclass(frozen=True)
class Found:
    """One structure of a file, or the reason why there is none."""

    sites: Sites | None
    reason: str = ""
    id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Reader = Callable[[Path], Iterator[Found]]


def read_ase(layout: str, last: bool) -> Reader:
    """A reader of all frames of one of ASE's formats, or of the last one alone."""
    from ase.io import iread, read

    def read_frames(path: Path) -> Iterator[Found]:
        if last:
            yield of_atoms(read(path, index=-1, format=layout))
            return
        for atoms in iread(str(path), index=":", format=layout):
            yield of_atoms(atoms)

    return read_frames


def read_database() -> Reader:
    """A reader of ASE databases; one with a view could be a question without an end."""
    from ase.db import connect

    def read_rows(path: Path) -> Iterator[Found]:
        if path.open("rb").read(16) == b"SQLite format 3\0":
            with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as plain:
                odd = plain.execute("SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchall()
            plain.close()
            if odd:
                raise RefusedError(f"a database with a view or trigger ({str(odd[0][0])[:40]})")
            kind = "db"
        else:
            kind = "json"
        for row in connect(str(path), type=kind, serial=True).select(sort="id"):
            properties = dict(row.key_value_pairs)
            name = None
            try:
                name = row.data.get("id")
                found = of_atoms(row.toatoms())
                data = {key: value for key, value in row.data.items() if key != "id"}
            except Exception as error:  # noqa: BLE001 - whatever a malformed row made the library trip over
                yield Found(None, f"the row cannot be read ({one_line(error)})", text_or_none(name), properties)
                continue
            known = {**properties, **data, **found.properties}
            yield Found(found.sites, found.reason, text_or_none(name), known, found.notes)

    return read_rows


def read_json() -> Reader:
    """A reader of pymatgen's and OPTIMADE's JSON, and of ASE's databases in JSON."""

    def read_document(path: Path) -> Iterator[Found]:
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"no JSON ({one_line(error)})") from None
        if isinstance(document, dict) and {"ids", "nextid"} <= document.keys():
            yield from read_database()(path)
            return
        nothing = True
        for identifier, build, properties in structures_of(document):
            nothing = False
            try:
                yield Found(build(), "", identifier, properties)
            except SitesError as error:
                yield Found(None, str(error), identifier, properties)
        if nothing:
            raise ForeignError("JSON without structures of pymatgen or OPTIMADE")

    return read_document


def read_tensors() -> Reader:
    """A reader of crystals that CDVAE, DiffCSP and their relatives store with ``torch.save``."""
    import torch

    from nucleate.crystal.lattice import parameters_to_matrix

    torch.set_num_threads(1)
    torch.serialization.add_safe_globals([argparse.Namespace])  # the options of the run; plain attributes

    def read_batch(path: Path) -> Iterator[Found]:
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:  # in one line, and without the advice to trust the file
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            raise RefusedError(f"{named[1] if named else 'something'}, which is no tensor and was not made") from None
        names = ("frac_coords", "atom_types", "num_atoms", "lengths", "angles")
        if not isinstance(stored, dict) or any(not isinstance(stored.get(name), torch.Tensor) for name in names):
            raise ForeignError(f"no dictionary of tensors {', '.join(names)}")
        frac, types, counts, lengths, angles = (stored[name].detach() for name in names)
        if counts.is_floating_point() and (counts != counts.round()).any():
            raise RefusedError("counts of atoms that are not whole")
        counts, frac = counts.reshape(-1).long(), frac.reshape(-1, 3).double()
        lengths, angles = lengths.reshape(-1, 3).double(), angles.reshape(-1, 3).double()
        if types.dim() >= 2 and types.shape[-1] > 1 and types.numel() != len(frac):
            raise RefusedError("probabilities of elements; atomic numbers are expected")
        types = types.reshape(-1)
        if not (len(counts) == len(lengths) == len(angles) and len(frac) == len(types) == int(counts.sum())):
            raise RefusedError("tensors whose lengths do not fit together")
        if (counts < 0).any() or (types != types.round()).any():
            raise RefusedError("counts below 0, or atomic numbers that are not whole")
        lattices = parameters_to_matrix(lengths, angles)
        start = 0
        for n, lattice in zip(counts.tolist(), lattices, strict=True):
            stop = start + n
            yield Found(Sites(types[start:stop].long().tolist(), frac[start:stop].tolist(), lattice.tolist()))
            start = stop

    return read_batch


def of_atoms(atoms: Any) -> Found:
    """A frame of ASE with its results, information and arrays."""
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    stress = np.asarray(results.get("stress", ()))
    if stress.shape == (6,):  # xx, yy, zz, yz, xz, xy
        results["stress"] = stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    occupancy = atoms.info.get("occupancy")
    arrays = {
        name: values
        for name, values in atoms.arrays.items()
        if name not in {"numbers", "positions", "masses", "spacegroup_kinds"} and np.any(values)
    }
    properties = {**arrays, **atoms.info, **results}
    if atoms.cell.rank < 3 or not atoms.pbc.all():
        return Found(None, "no cell that is periodic in three directions", properties=properties)
    if isinstance(occupancy, dict) and any(share != 1 for site in occupancy.values() for share in site.values()):
        return Found(None, "partial occupancies", properties=properties)
    frac = np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T
    return Found(Sites(atoms.numbers.tolist(), frac.tolist(), atoms.cell.array.tolist()), "", None, properties)


def rewrite_table(path: Path, target: Path) -> None:
    """Write a Parquet table as an Arrow file.

    Raises:
        RefusedError: It is none, or too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise RefusedError(f"more than one column {repeated[0]!r}")
        if file.metadata.num_rows * max(len(names), 1) > MAX_CELLS:
            raise RefusedError(f"{file.metadata.num_rows:,} rows of {len(names)} columns")
        table = file.read(use_threads=False)
        table.validate(full=True)
        table = table.replace_schema_metadata(None)  # what pandas says there of indices could be anything
        with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"no Parquet table ({one_line(error)})") from None


READERS: dict[str, Callable[[], Reader]] = {
    "db": read_database,
    "espresso": lambda: read_ase("espresso-out", last=True),
    "gpaw": lambda: read_ase("gpaw-out", last=True),
    "gpw": lambda: read_ase("gpw", last=True),
    "json": read_json,
    "pt": read_tensors,
    "traj": lambda: read_ase("traj", last=False),
}
"""Makers of readers by kind; libraries are loaded before the limits begin."""


def limit(seconds: int, size: int) -> None:
    """Bound processor time and memory to what this process has used and so much more, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        spent = resource.getrusage(resource.RUSAGE_SELF)
        ceiling = int(spent.ru_utime + spent.ru_stime) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (ceiling, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def write(found: Iterator[Found], layout: str, folder: Path, k: int) -> None:
    """Write the structures of file k; what the library warns of while it reads one is a note of that one.

    Raises:
        RefusedError: They are too many.
    """
    rows: list[dict[str, Any]] = []
    structures: list[Sites] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for one in found:
            said = {f"{layout}: {warning.message}"[:200]: None for warning in caught if is_of_the_file(warning)}
            caught.clear()
            rows.append(
                {
                    "id": one.id,
                    "reason": one.reason,
                    "notes": (*one.notes, *said),
                    "properties": one.properties,
                    "sites": one.sites is not None,
                }
            )
            if one.sites is not None:
                structures.append(one.sites)
            if len(rows) > MAX_STRUCTURES:
                raise RefusedError(f"more than {MAX_STRUCTURES:,} structures")
    arrays = {
        "counts": np.array([len(one.numbers) for one in structures], dtype=np.int64),
        "numbers": np.array([z for one in structures for z in one.numbers], dtype=np.int64),
        "frac": np.array([row for one in structures for row in one.frac], dtype=np.float64).reshape(-1, 3),
        "lattice": np.array([one.lattice for one in structures], dtype=np.float64).reshape(-1, 3, 3),
    }
    text = json.dumps(rows, default=jsonable)
    np.savez(folder / f"{k}.npz", **arrays)  # type: ignore[arg-type]
    (folder / f"{k}.json").write_text(text, encoding="utf-8")


def is_of_the_file(warning: warnings.WarningMessage) -> bool:
    """Whether a warning is about a file, not about the code that reads it."""
    return not issubclass(warning.category, DeprecationWarning | PendingDeprecationWarning | FutureWarning)


def jsonable(value: object) -> object:
    """A value of a library as plain data, or as text."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)[:1000]


def text_or_none(value: object) -> str | None:
    """A name as text."""
    return None if value is None else str(value)


def one_line(error: BaseException) -> str:
    """Type and message of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def read_one(kind: str, path: Path, folder: Path, k: int, limits: tuple[int, int]) -> None:
    """Read file k within limits of seconds and bytes, and leave what it holds or why it is not read."""
    foreign = False
    try:
        reader = None if kind == "parquet" else READERS[kind]()
        if reader is None:
            import pyarrow.parquet  # noqa: F401 - loaded before the limits begin
        limit(*limits)
        if reader is None:
            rewrite_table(path, folder / f"{k}.arrow")
            (folder / f"{k}.json").write_text("[]")
        else:
            write(reader(path), kind, folder, k)
        return
    except RefusedError as error:
        reason, foreign = str(error), isinstance(error, ForeignError)
    except MemoryError:
        reason = f"a file that takes more than {limits[1] / 1e9:.0f} GB of memory to read"
    except Exception as error:  # noqa: BLE001 - whatever a stranger's file does to a library is a reason
        reason = f"a file that cannot be read ({one_line(error)})"
    limit(60, 1 << 31)
    (folder / f"{k}.json").write_text(json.dumps({"error": reason, "foreign": foreign}), encoding="utf-8")


def main() -> None:
    """Read the files that standard input names, one after the other."""
    folder = Path(sys.argv[1])
    for k, kind, path, seconds, size in json.loads(sys.stdin.read()):
        read_one(kind, Path(path), folder, k, (seconds, size))


if __name__ == "__main__":
    main()
