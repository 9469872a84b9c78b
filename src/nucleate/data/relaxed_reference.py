"""A reference on the scale of another potential: structures relaxed with it, and nothing of another scale."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import compositions
from nucleate.data.dataset import Dataset, load_dataset
from nucleate.data.literature import load_literature
from nucleate.data.reference import Reference
from nucleate.data.reference_tables import near_hull, phase_table, relaxed_crystals, survey
from nucleate.errors import Status, UserError
from nucleate.execution.executor import load_executor
from nucleate.potentials.registry import provenance_of
from nucleate.relaxation.relaxation import load_relaxer
from nucleate.relaxation.relaxer import RELAX_V1

LITERATURE = "literature"


@dataclass(frozen=True)
class Coverage:
    """Outcome of relaxing the structures of a reference.

    Attributes:
        relaxed: Structures that relaxed.
        failed: Structures that did not.
        first_reason: Why the first of them did not.
        without_terminal: Symbols of the elements that have no elemental phase; nothing with them has a hull distance.
    """

    relaxed: int
    failed: int
    first_reason: str
    without_terminal: tuple[str, ...]


def build_relaxed(
    structures: Path,
    out: Path,
    potential: str,
    python: str | None = None,
    known: Sequence[Path] = (),
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Reference, Coverage]:
    """Relax structures with a potential, and with them what the literature has of the same elements; write the result.

    What is relaxed already is kept in ``out`` and not repeated.

    Arguments:
        structures: File of structures that compete; a formation energy in it is of another scale and is not read.
        out: Folder of the reference; its name becomes the reference's.
        potential: Choice of the potential, see `nucleate.potentials.registry.load_potential`.
        python: Path of the interpreter that runs it, where this environment cannot.
        known: Files of known structures, for novelty alone.
        workers: Processes for relaxations.
        progress: Called with (structures done, structures in all).

    Raises:
        UserError: A file cannot be read, the potential cannot be made, or no structure relaxes.
    """
    origin = provenance_of(potential, python)
    dataset = load_dataset(structures)
    crystals, ids, sources = _with_literature(dataset, structures.name)
    key = hashlib.sha256(f"{origin} {dataset.digest}".encode()).hexdigest()[:12]
    folder = out / "survey" / key
    relaxer = load_relaxer(potential, python, RELAX_V1, load_executor(workers=workers))
    surveyed = survey(crystals, ids, "structures", folder, relaxer, progress)
    surveyed = surveyed.assign(source=sources)
    fine = surveyed["status"] == str(Status.OK)
    reasons = surveyed.loc[~fine, "reason"].tolist()
    table = surveyed[fine].reset_index(drop=True)
    if table.empty:
        raise UserError(str(structures), f"no structure that relaxes; {reasons[0]}", f"some that {potential} can relax")
    relaxed = relaxed_crystals(table)
    counts = compositions(relaxed)
    elements = _element_energies(counts, table["energy_per_atom"].tolist())
    phases = phase_table(table, relaxed, elements)
    near = near_hull(phases, counts)
    wanted = {z for count in counts for z in count}
    coverage = Coverage(
        len(table),
        len(reasons),
        reasons[0] if reasons else "",
        tuple(SYMBOLS[z] for z in sorted(wanted - set(elements))),
    )
    record = {
        "potential": origin.scale,
        "potential_version": origin.version,
        "potential_run": origin.place,
        "protocol": RELAX_V1.name,
        "element_energies_fitted_to": "the lowest elemental phase of the same potential",
        "surveyed": {str(k): int(v) for k, v in surveyed["source"].value_counts().items()},
        "kept": int(near.sum()),
        "not_relaxed": coverage.failed,
    }
    base = Reference.load("mp")
    datasets = [dataset, *(load_dataset(path) for path in known)]
    reference = Reference(
        out.name,
        elements,
        phases[near].reset_index(drop=True),
        Crystals.concatenate([base.structures, *(each.crystals for each in datasets)]),
        (*base.structure_ids, *(name for each in datasets for name in each.ids)),
        record,
    )
    reference.save(out)
    return reference, coverage


def _with_literature(dataset: Dataset, source: str) -> tuple[Crystals, list[str], list[str]]:
    """Structures, ids and sources of a data set and of the literature's entries made of its elements."""
    entries, table = load_literature()
    present = {int(z) for z in np.unique(dataset.crystals.numbers.numpy()) if z}
    chosen = [i for i, count in enumerate(compositions(entries)) if set(count) <= present]
    crystals = Crystals.concatenate([dataset.crystals, entries[chosen]])
    ids = [*dataset.ids, *table["id"].iloc[chosen]]
    return crystals, ids, [source] * len(dataset) + [LITERATURE] * len(chosen)


def _element_energies(counts: Sequence[Mapping[int, int]], energies: Sequence[float]) -> dict[int, float]:
    """Energy of the lowest elemental phase of each element that has one, {Z: eV/atom}."""
    lowest: dict[int, float] = {}
    for count, energy in zip(counts, energies, strict=True):
        if len(count) == 1:
            z = next(iter(count))
            lowest[z] = min(lowest.get(z, float("inf")), energy)
    return lowest
