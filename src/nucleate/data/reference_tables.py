"""Known structures, relaxed and kept, and references made of them: the bundled one, and those joined by users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import JsonValue

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import compositions, reduced_formula, reduced_formulas
from nucleate.data.dataset import Dataset, load_dataset
from nucleate.data.reference import Reference
from nucleate.errors import Status, UserError
from nucleate.execution.executor import load_executor
from nucleate.relaxation.relaxation import PotentialRelaxer
from nucleate.relaxation.relaxer import Relaxed, Relaxer
from nucleate.symmetry.protostructure import protostructure_labels
from nucleate.symmetry.space_group import space_groups
from nucleate.thermo.hull import Hull, fit_element_energies, formation_energy

CHUNK = 100


def survey(
    crystals: Crystals,
    ids: list[str],
    source: str,
    folder: Path,
    relaxer: Relaxer,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Relax structures in chunks; a chunk that is already in ``folder`` is read, not computed.

    Arguments:
        crystals: Known structures.
        ids: One for each.
        source: Where they are from; names the files.
        folder: Holds one Parquet file a chunk.
        relaxer: With which potential and by whom they are relaxed.
        progress: Called with (structures done, structures in all) after each chunk.

    Returns:
        A row for each structure, in order: ``id``, ``source``, ``status``, ``reason``, ``numbers``, ``frac``,
        ``lattice`` (relaxed), ``energy_per_atom``, ``initial_energy_per_atom``, ``n_steps``, ``seconds``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(crystals), CHUNK):
        path = folder / f"{source}-{start:06d}.parquet"
        if not path.exists():
            rows = slice(start, min(start + CHUNK, len(crystals)))
            outcomes = dict(relaxer.relax(crystals[rows]))
            table = _surveyed(ids[rows], source, outcomes)
            partial = path.with_suffix(".partial")
            table.to_parquet(partial, index=False)
            partial.replace(path)
        parts.append(pd.read_parquet(path))
        if progress is not None:
            progress(min(start + CHUNK, len(crystals)), len(crystals))
    return pd.concat(parts, ignore_index=True)


_SURVEYED = (
    "id", "source", "status", "reason", "numbers", "frac", "lattice", "energy_per_atom", "initial_energy_per_atom",
    "n_steps", "seconds",
)  # fmt: skip


def _surveyed(ids: Sequence[str], source: str, outcomes: Mapping[int, Relaxed]) -> pd.DataFrame:
    rows = [
        (
            name, source, str(one.status), one.reason, one.numbers, one.frac.ravel(), one.lattice.ravel(),
            one.energy_per_atom, one.initial_energy_per_atom, one.n_steps, one.seconds,
        )
        for name, one in zip(ids, (outcomes[i] for i in range(len(ids))), strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(_SURVEYED))


NEAR_HULL = 0.1
"""Phases farther above the hull than this, in eV/atom, compete with nothing and are left out."""


def build_bundled(
    surveyed: pd.DataFrame,
    dft: Mapping[str, float],
    origin: Mapping[str, str],
    with_structures: Sequence[str],
    record: Mapping[str, JsonValue],
) -> Reference:
    """Assemble the bundled reference.

    Arguments:
        surveyed: Outcomes of :func:`nucleate.data.relaxed_reference.survey`, of all sources.
        dft: Formation energies in eV/atom by id that the element energies are fitted to.
        origin: What the reference calls each source of ``surveyed``.
        with_structures: Sources whose structures go into the reference, not only their energies.
        record: What else ``reference.json`` is to say.

    Returns:
        The phases within 0.1 eV/atom of their common hull.
    """
    table = surveyed[surveyed["status"] == str(Status.OK)].reset_index(drop=True)
    crystals = relaxed_crystals(table)
    counts = compositions(crystals)
    target = np.array([dft.get(name, np.nan) for name in table["id"]])
    rows = np.flatnonzero(np.isfinite(target))
    fit = fit_element_energies([counts[i] for i in rows], table["energy_per_atom"].to_numpy()[rows], target[rows])
    phases = phase_table(table, crystals, fit.energies).assign(source=table["source"].map(dict(origin)))
    known, near = phases["formation_energy"].notna(), near_hull(phases, counts)
    own = table["source"].isin(with_structures) & known
    ids = tuple(table.loc[own, "id"])
    details = {
        **record,
        "element_fit": {
            "rows": len(rows),
            "held_out_mae": round(fit.held_out_mae, 4),
            "held_out_median": round(fit.held_out_median, 4),
        },
        "surveyed": {str(k): int(v) for k, v in surveyed["source"].map(dict(origin)).value_counts().items()},
        "kept": int(near.sum()),
        "not_relaxed": int((surveyed["status"] != str(Status.OK)).sum()),
    }
    structures = crystals[torch.from_numpy(np.flatnonzero(own.to_numpy()))]
    return Reference("bundled", fit.energies, phases[near].reset_index(drop=True), structures, ids, details)


def phase_table(surveyed: pd.DataFrame, crystals: Crystals, element_energies: Mapping[int, float]) -> pd.DataFrame:
    """The columns of a reference's phases for relaxed structures.

    Arguments:
        surveyed: Outcomes of a survey that are ok, with ``source``.
        crystals: Their relaxed structures.
        element_energies: Energy of each element on the potential's scale, {Z: eV/atom}.

    Returns:
        One row each; the formation energy is NaN where an element has no energy.
    """
    energies = [
        formation_energy(count, energy, element_energies)
        for count, energy in zip(compositions(crystals), surveyed["energy_per_atom"], strict=True)
    ]
    return pd.DataFrame(
        {
            "id": surveyed["id"],
            "formula": reduced_formulas(crystals),
            "formation_energy": energies,
            "source": surveyed["source"],
            "volume_per_atom": (crystals.volume / crystals.n_atoms).numpy(),
            "space_group": space_groups(crystals).numpy(),
            "label": protostructure_labels(crystals),
        }
    )


def near_hull(phases: pd.DataFrame, counts: Sequence[Mapping[int, int]]) -> pd.Series:
    """Which phases have a formation energy and lie within ``NEAR_HULL`` of their common hull."""
    known = phases["formation_energy"].notna()
    return known & (_distances(phases[known], counts, known) <= NEAR_HULL).reindex(phases.index, fill_value=False)


def relaxed_crystals(surveyed: pd.DataFrame) -> Crystals:
    """The relaxed structures of a survey."""
    return Crystals.from_lists(
        [z.tolist() for z in surveyed["numbers"]],
        [torch.tensor(x, dtype=torch.float64).reshape(-1, 3) for x in surveyed["frac"]],
        [torch.tensor(cell, dtype=torch.float64).reshape(3, 3) for cell in surveyed["lattice"]],
    )


def _distances(phases: pd.DataFrame, counts: Sequence[Mapping[int, int]], known: pd.Series) -> pd.Series:
    inside = [count for count, keep in zip(counts, known, strict=True) if keep]
    energies = phases["formation_energy"].tolist()
    hull = Hull(inside, energies)
    # A phase whose terminal is missing has no distance; it is kept, since it may compete once there is one.
    found = [hull.distance(count, energy).energy_above_hull for count, energy in zip(inside, energies, strict=True)]
    return pd.Series(np.nan_to_num(found, nan=0.0), index=phases.index)


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
    """Join a table and files of structures to the shipped reference ``mp`` and write the result.

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
    base = Reference.load("mp")
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
    return Reference(name, base.element_energies, phases, known, ids, record, base.element_corrections), error


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
    folder, relaxer = out / "survey" / dataset.digest[:12], PotentialRelaxer(executor=load_executor(workers=workers))
    found = survey(dataset.crystals, dataset.ids, "structures", folder, relaxer)
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
