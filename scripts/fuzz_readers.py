"""Read damaged files of every format, and report what goes wrong.

    python scripts/fuzz_readers.py OUT [-n 10000] [--seed 0] [--formats cif,poscar] [--workers 2]

File k is one of the sound files below, changed in one to three places by random numbers that depend on the seed and k
alone. Findings are ``crash``, an exception that is no ``UserError``; ``slow``, more than ``SECONDS`` of processor time;
``memory``, more than ``BYTES``; ``misread``, another crystal than the one on which two of gemmi, ASE and pymatgen
agree, without a note. ``OUT/results.jsonl`` has a line a file; the same command goes on where it was stopped. Files
with findings lie in ``OUT/findings``. Exit code 1 where there are any.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase.io
import gemmi
import numpy as np
from damaged_files import HEAVY, LIGHT, mutant
from pebble import ProcessExpired, ProcessPool
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nucleate.errors import UserError
from nucleate.io.files import read_structures
from nucleate.io.interop import to_pymatgen
from nucleate.io.validation import READ_AS

SECONDS, BYTES = 12.0, 2_200_000_000
"""Limits of the readers, and what starting a process takes."""
PATIENCE = 120.0
"""Seconds by the clock after which a reader is stopped."""
REFERENCE_SECONDS = 5


@dataclass(frozen=True)
class Reading:
    """Outcome of one file.

    Attributes:
        k: Number of the file.
        layout: Its format.
        outcome: ``read``, ``refused`` or a finding.
        detail: Reason or contents in words.
        seconds: Processor time in seconds, that of other processes included.
    """

    k: int
    layout: str
    outcome: str
    detail: str
    seconds: float


class _Peak:
    """Largest memory in bytes that this process and those it started have had so far."""

    seen = 0

    @classmethod
    def above(cls) -> bool:
        """Whether it has risen above the limit since the last call."""
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        now = max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024
        risen, cls.seen = now > max(BYTES, cls.seen), max(now, cls.seen)
        return risen


def spent() -> float:
    """Processor time in seconds of this process and of those that it started and that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, kinds))


def stored_as(folder: Path, layout: str, content: bytes) -> Path:
    """A file in a folder, under a name that says its format."""
    path = folder / ({"poscar": "POSCAR", "xdatcar": "XDATCAR"}.get(layout) or f"a.{layout}")
    path.write_bytes(content)
    return path


def read_one(seed: int, k: int, formats: tuple[str, ...]) -> Reading:
    """Read file k and judge the outcome."""
    layout, content = mutant(seed, k, formats)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = stored_as(Path(folder), layout, content)
        start = spent()
        structures: list[Structure] = []
        noted = False
        try:
            found = read_structures(path)
            structures = to_pymatgen(found.crystals)
            noted = bool(found.failures) or (found.properties is not None and READ_AS in found.properties)
            outcome = "read" if structures else "refused"
            detail = ", ".join(one.formula for one in structures) or "; ".join(one.reason for one in found.failures)
        except UserError as error:
            outcome, detail = "refused", str(error)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            outcome, detail = "crash", f"{type(error).__name__}: {error}"
        seconds = spent() - start
        if seconds > SECONDS:
            outcome = "slow"
        elif _Peak.above():
            outcome = "memory"
        elif outcome == "read" and len(structures) == 1 and not noted and layout in REFERENCES:
            agreed = majority(layout, path, content)
            if agreed is not None and not alike(agreed, structures[0]):
                outcome, detail = "misread", f"{structures[0].formula} where others read {agreed.formula}"
    return Reading(
        k, layout, outcome, " ".join(detail.encode(errors="replace").decode().split())[:300], round(seconds, 2)
    )


def majority(layout: str, path: Path, content: bytes) -> Structure | None:
    """The structure on which two of gemmi, ASE and pymatgen agree; None where there is none."""
    found: list[Structure] = []
    for read in REFERENCES[layout]:
        try:
            with time_limit(REFERENCE_SECONDS):
                structure = read(path, content)
        except (Exception, TimeoutError):  # noqa: BLE001, S112 - a reader that fails has no vote
            continue
        if structure is not None and len(structure) and structure.is_ordered:
            if any(alike(structure, other) for other in found):
                return structure
            found.append(structure)
    return None


def by_pymatgen(layout: str) -> Callable[[Path, bytes], Structure]:
    """A reading by pymatgen."""
    return lambda _, content: Structure.from_str(content.decode(errors="replace"), fmt=layout)


def by_ase(layout: str) -> Callable[[Path, bytes], Structure]:
    """A reading by ASE."""
    return lambda path, _: AseAtomsAdaptor.get_structure(ase.io.read(path, format=layout))


def by_gemmi(_: Path, content: bytes) -> Structure:
    """A reading by gemmi, without sites that lie upon each other."""
    block = next(
        one for one in gemmi.cif.read_string(content.decode(errors="replace")) if one.find_loop("_atom_site_label")
    )
    small = gemmi.make_small_structure_from_block(block)
    sites = small.get_all_unit_cell_sites()
    lattice = Lattice.from_parameters(*small.cell.parameters)
    species = [site.element.name if site.occ > 0.999 else {site.element.name: site.occ} for site in sites]
    structure = Structure(lattice, species, [site.fract.tolist() for site in sites])
    return structure.merge_sites(0.01, mode="delete")


REFERENCES: dict[str, list[Callable[[Path, bytes], Structure]]] = {
    "cif": [by_gemmi, by_pymatgen("cif"), by_ase("cif")],
    "poscar": [by_pymatgen("poscar"), by_ase("vasp")],
    "res": [by_pymatgen("res"), by_ase("res")],
}
"""Other programs' readings of the formats that more than one of them reads."""


def alike(first: Structure, second: Structure) -> bool:
    """Whether two structures have the same formula, volume and shortest distances."""
    if first.composition.reduced_formula != second.composition.reduced_formula:
        return False
    if abs(first.volume / len(first) - second.volume / len(second)) > 1e-2 * first.volume / len(first):
        return False
    return bool(np.allclose(shortest(first), shortest(second), atol=0.05))


def shortest(structure: Structure) -> np.ndarray:
    """Distances in Å to the nearest neighbour, the least and the largest of them."""
    if len(structure) > 200:
        return np.zeros(2)
    supercell = structure.copy()
    supercell.make_supercell(2)
    distances = supercell.distance_matrix + 1e3 * np.eye(len(supercell))
    nearest = distances.min(axis=1)
    return np.array([nearest.min(), nearest.max()])


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in a block that takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Read the files that are not read yet, and print how many ended in which way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", default=",".join((*LIGHT, *HEAVY)))
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    formats = tuple(options.formats.split(","))
    results = options.out / "results.jsonl"
    (options.out / "findings").mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = {one["k"] for one in known}
    left = [k for k in range(options.n) if k not in done]
    with ProcessPool(options.workers) as pool, results.open("a") as log:
        futures = [(k, pool.schedule(read_one, args=(options.seed, k, formats), timeout=PATIENCE)) for k in left]
        for k, future in futures:
            try:
                reading = future.result()
            except (FutureTimeoutError, ProcessExpired) as error:
                outcome = "crash" if isinstance(error, ProcessExpired) else "slow"
                reading = Reading(k, mutant(options.seed, k, formats)[0], outcome, repr(error)[:200], PATIENCE)
            known.append(asdict(reading))
            log.write(json.dumps(asdict(reading)) + "\n")
            log.flush()
            if reading.outcome not in {"read", "refused"}:
                layout, content = mutant(options.seed, k, formats)
                (options.out / "findings" / f"{k}.{reading.outcome}.{layout}").write_bytes(content)
                print(f"{k} {layout}: {reading.outcome}, {reading.detail}")
    counts = Counter((one["layout"], one["outcome"]) for one in known)
    for layout in formats:
        print(f"{layout:10s}", *(f"{name} {n}" for (one, name), n in sorted(counts.items()) if one == layout))
    return int(any(name not in {"read", "refused"} for _, name in counts))


if __name__ == "__main__":
    sys.exit(main())
