"""The reference: competing phases for hull distances, known structures for novelty.

A reference is a folder: ``reference.json`` (name, energy of each element, protocol, origin), ``phases.parquet``
(one phase a row) and ``structures.parquet`` (known structures; may be empty). Formation energies are on one
scale: the potential's energy minus a fitted energy for each element.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS, atomic_number, parse_formula
from nucleate.crystal.parsed_structure import ParsedStructure, batched
from nucleate.errors import UserError
from nucleate.thermo.hull import Hull, formation_energy

FORMAT = 1
PHASES, STRUCTURES, RECORD = "phases.parquet", "structures.parquet", "reference.json"


@dataclass(frozen=True)
class Reference:
    """Competing phases and known structures.

    Attributes:
        name: What reports call it.
        element_energies: Energy of each element on the potential's scale, {Z: eV/atom}.
        phases: One row a phase: ``id``, ``formula``, ``formation_energy`` (eV/atom), ``source``, and where they
            are known ``volume_per_atom`` (Å³), ``space_group``, ``label``.
        structures: Known structures, relaxed where they are ours.
        structure_ids: One for each.
        record: Everything else that ``reference.json`` says: potential, protocol, fit errors, origin.
        element_corrections: What moves compounds, but no element, onto the scale of the reference, {Z: eV/atom}; see
            :func:`nucleate.thermo.hull.fit_corrections`.
    """

    name: str
    element_energies: Mapping[int, float]
    phases: pd.DataFrame
    structures: Crystals = field(default_factory=lambda: Crystals.from_lists([], [], []))
    structure_ids: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    element_corrections: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str | Path) -> Reference:
        """One that ships with the package (:data:`SHIPPED`), or one from a folder.

        Raises:
            UserError: There is no such reference, or its files are damaged or of another version.
        """
        folder = reference_folder(name)
        if not (folder / RECORD).is_file():
            raise UserError("reference", repr(str(name)), f"{' or '.join(SHIPPED)}, or a folder with {RECORD} in it")
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise UserError(str(folder), f"a reference of format {record['format']}", f"format {FORMAT}")
            energies, corrections = (
                {atomic_number(symbol): float(value) for symbol, value in record.pop(key, {}).items()}
                for key in ("element_energies", "element_corrections")
            )
            phases = pd.read_parquet(folder / PHASES)
            table = pd.read_parquet(folder / STRUCTURES)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                str(folder), f"a damaged reference ({error})", f"{RECORD}, {PHASES} and {STRUCTURES}"
            ) from None
        return cls(record["name"], energies, phases, _crystals(table), tuple(table["id"]), record, corrections)

    def save(self, folder: Path) -> None:
        """Write the reference into a folder.

        Raises:
            UserError: The folder cannot be written.
        """
        record = {
            **self.record,
            "format": FORMAT,
            "name": self.name,
            "element_energies": _by_symbol(self.element_energies),
            "element_corrections": _by_symbol(self.element_corrections),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.phases.to_parquet(folder / PHASES, index=False, compression="zstd")
            _table(self.structures, self.structure_ids).to_parquet(folder / STRUCTURES, index=False, compression="zstd")
            text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
            (folder / RECORD).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(str(folder), str(error.strerror), "a folder that can be written") from None

    @cached_property
    def compositions(self) -> list[dict[int, int]]:
        """Element counts of every phase."""
        return [parse_formula(formula) for formula in self.phases["formula"]]

    @cached_property
    def hull(self) -> Hull:
        """Lower convex hull of the phases."""
        return Hull(self.compositions, self.phases["formation_energy"].tolist())

    @property
    def scale(self) -> str | None:
        """Scale of the energies: a potential and its arguments; None where it does not say."""
        return self.record.get("potential")

    def is_on_scale(self, scale: str) -> bool:
        """Whether energies of this scale can be placed on its hull; a reference that says nothing is trusted."""
        return self.scale in (None, scale)

    def formation_energy(self, composition: Mapping[int, int], energy_per_atom: float) -> float:
        """Energy in eV/atom over the elements of a composition {Z: count}; NaN where an element has no energy."""
        return formation_energy(composition, energy_per_atom, self.element_energies, self.element_corrections)


SHIPPED = ("mp", "bundled")
"""References in the package.

``mp``: structures of the Materials Project, the literature and a prototype sweep relaxed with CHGNet, and phases of
which the Materials Project tells energies alone, on one scale on which every element is zero. ``bundled``: fewer of
those relaxed, without the structures of the Materials Project, and no table, against fitted element energies.
"""


def reference_folder(name: str | Path) -> Path:
    """Where a reference lies: inside the package if it ships with it, else the folder of that name."""
    if str(name) in SHIPPED:
        return Path(str(resources.files("nucleate"))) / "data" / str(name)
    return Path(name)


def _by_symbol(values: Mapping[int, float]) -> dict[str, float]:
    return {SYMBOLS[z]: round(value, 6) for z, value in sorted(values.items())}


def _crystals(table: pd.DataFrame) -> Crystals:
    columns = zip(table["numbers"], table["frac"], table["lattice"], strict=True)
    return batched([ParsedStructure(z, frac.reshape(-1, 3), cell.reshape(3, 3)) for z, frac, cell in columns])


def _table(crystals: Crystals, ids: tuple[str, ...]) -> pd.DataFrame:
    rows = []
    for i, name in enumerate(ids):
        numbers, frac, lattice = crystals.sites(i)
        rows.append((name, numbers.tolist(), frac.flatten().tolist(), lattice.flatten().tolist()))
    return pd.DataFrame(rows, columns=["id", "numbers", "frac", "lattice"])
