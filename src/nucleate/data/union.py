"""A reference of the user's own: the bundled one and any table of formation energies or structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import compositions, reduced_formula, reduced_formulas
from nucleate.data.bundling import relaxed_crystals
from nucleate.data.dataset import Dataset, load_dataset
from nucleate.data.reference import Reference
from nucleate.data.survey import survey
from nucleate.errors import Status, UserError

ENERGY = "formation_energy_per_atom"


@dataclass(frozen=True)
class ScaleError:
    """How far two scales of formation energies are apart on the structures that both hold.

    Attributes:
        shared: Number of structures.
        mean_absolute: In eV/atom.
        median_absolute: In eV/atom.
        mean: Signed, the reference's minus the table's, in eV/atom.
    """

    shared: int
    mean_absolute: float
    median_absolute: float
    mean: float


def build_union(
    table: Path, out: Path, structures: Sequence[Path] = (), workers: int | None = None
) -> tuple[Reference, ScaleError]:
    """Join a table and files of structures to the bundled reference and write the result.

    Arguments:
        table: CSV or Parquet with ``formula`` and ``formation_energy_per_atom`` (eV/atom), or structures.
            Structures without such a column are relaxed with the potential, which takes about a second each.
        out: Folder of the union.
        structures: Files of known structures, for novelty alone.
        workers: Processes for relaxations.

    Returns:
        The union, and the error between the two scales on what both hold.

    Raises:
        UserError: A file cannot be read, or a formula or number in it.
    """
    base = Reference.load("bundled")
    phases, own = _phases(table, out, workers, base)
    datasets = [*own, *(load_dataset(path) for path in structures)]
    union, error = join(base, phases, out.name, table.name, datasets)
    union.save(out)
    return union, error


def join(
    base: Reference, table: pd.DataFrame, name: str, source: str, structures: Sequence[Dataset] = ()
) -> tuple[Reference, ScaleError]:
    """Add the phases of a table, and structures for novelty, to a reference.

    Arguments:
        base: Usually the bundled reference.
        table: Columns ``formula`` and ``formation_energy_per_atom`` (eV/atom), and ``material_id`` or ``id`` if any.
        name: Of the union.
        source: What the table's phases are tagged with.
        structures: Known structures.

    Raises:
        UserError: A column is missing, or a formula or number in it cannot be read.
    """
    for column in ("formula", "formation_energy_per_atom"):
        if column not in table:
            raise UserError(source, f"columns {', '.join(map(str, table.columns))}", f"a column {column!r}")
    energies = pd.to_numeric(table["formation_energy_per_atom"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(energies))
    if wrong.size:
        i = int(wrong[0])
        found = repr(table["formation_energy_per_atom"].iloc[i])
        raise UserError(f"{source}, row {i + 1}, formation_energy_per_atom", found, "a number in eV/atom")
    formulas = [_canonical(str(text), f"{source}, row {i + 1}, formula") for i, text in enumerate(table["formula"])]
    names = next((table[c].astype(str) for c in ("material_id", "id") if c in table), None)
    added = pd.DataFrame(
        {
            "id": names if names is not None else [f"{source}-{i}" for i in range(len(table))],
            "formula": formulas,
            "formation_energy": energies,
            "source": source,
        }
    )
    error = _scale_error(base.phases, added)
    phases = pd.concat([base.phases, added], ignore_index=True)
    record = {**base.record, "union_of": [base.name, source], "scale_error": asdict(error)}
    known = Crystals.concatenate([base.structures, *(dataset.crystals for dataset in structures)])
    ids = (*base.structure_ids, *(name for dataset in structures for name in dataset.ids))
    return Reference(name, base.element_energies, phases, known, ids, record), error


def _phases(path: Path, out: Path, workers: int | None, base: Reference) -> tuple[pd.DataFrame, list[Dataset]]:
    """The table of a file, and its structures where it has any."""
    if path.is_file() and path.name.removesuffix(".gz").endswith((".csv", ".parquet")):
        try:
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise UserError(str(path), f"an unreadable table ({error})", "CSV or Parquet") from None
        if "formula" in table and ENERGY in table and "cif" not in table:
            return table, []
    dataset = load_dataset(path)
    frame = pd.DataFrame({"id": dataset.ids, "formula": reduced_formulas(dataset.crystals)})
    if ENERGY in dataset.table:
        return frame.assign(**{ENERGY: dataset.column(ENERGY).numpy()}), [dataset]
    found = survey(dataset.crystals, dataset.ids, "structures", out / "survey" / dataset.digest[:12], workers=workers)
    found = found[found["status"] == str(Status.OK)].reset_index(drop=True)
    counts = compositions(relaxed_crystals(found))
    energies = [base.formation_energy(c, e) for c, e in zip(counts, found["energy_per_atom"], strict=True)]
    frame = pd.DataFrame({"id": found["id"], "formula": [reduced_formula(c) for c in counts], ENERGY: energies})
    return frame[frame[ENERGY].notna()].reset_index(drop=True), [dataset]


def _canonical(formula: str, where: str) -> str:
    return reduced_formula(parse_formula(formula, where))


def _scale_error(base: pd.DataFrame, added: pd.DataFrame) -> ScaleError:
    joined = base.merge(added, on="id", suffixes=("", "_table"))
    difference = joined["formation_energy"] - joined["formation_energy_table"]
    return ScaleError(
        len(joined),
        round(float(difference.abs().mean()), 4),
        round(float(difference.abs().median()), 4),
        round(float(difference.mean()), 4),
    )
