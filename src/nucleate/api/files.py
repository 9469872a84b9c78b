"""Structures in and out, and the page of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from nucleate.crystal.crystals import Crystals
    from nucleate.io.validation import StructureFile


def write_report(run: str | Path) -> Path:
    """Build the page of a run, a hunt for magnets, a comparison or a phase diagram again; returns where it lies."""
    folder = Path(run)
    if (folder / "magnets.json").exists():
        from nucleate.report.magnets import build_magnets

        return build_magnets(folder)
    if (folder / "comparison.json").exists() and not (folder / "run.json").exists():
        from nucleate.report.side_by_side import build_comparison

        return build_comparison(folder)
    if (folder / "phase_diagram.json").exists():
        from nucleate.report.phase_diagram import build_phase_diagram

        return build_phase_diagram(folder)
    from nucleate.report.page import build_report

    return build_report(folder)


def convert(source: str | Path, target: str | Path) -> int:
    """Write the structures of one file to another, the formats by suffix; returns how many.

    Raises:
        UserError: A format is unknown, or the source holds no crystal.
    """
    from nucleate.errors import UserError
    from nucleate.io.files import read_structures, write_structures

    found = read_structures(Path(source))
    if not found.ids:
        why = f"; {found.failures[0].reason}" if found.failures else ""
        raise UserError(str(source), f"no crystal{why}", "at least one")
    write_structures(found.crystals, Path(target), ids=found.ids, properties=found.properties)
    return len(found.ids)


def import_model(source: str | Path, out: str | Path, name: str | None = None) -> Path:
    """Make a model folder of a public MatterGen checkpoint; returns the folder.

    Raises:
        UserError: The file cannot be read as tensors alone, or is not a MatterGen; the folder is taken.
    """
    from nucleate.families.mattergen.importing import import_model as imported

    return imported(Path(source), Path(out), name)


def as_crystals(structures: Crystals | Sequence[Structure | Atoms]) -> Crystals:
    """A batch from pymatgen structures or ASE atoms.

    Raises:
        UserError: Some of them are neither.
    """
    from nucleate.crystal.crystals import Crystals
    from nucleate.errors import UserError
    from nucleate.io.interop import from_ase, from_pymatgen

    if isinstance(structures, Crystals):
        return structures
    items = list(structures)
    kinds = {type(item).__name__ for item in items}
    if kinds == {"Atoms"}:
        return from_ase(items)
    if kinds and kinds <= {"Structure", "IStructure"}:
        return from_pymatgen(items)
    raise UserError("structures", f"objects of type {', '.join(sorted(kinds)) or 'none'}", "Structure or Atoms")


def as_file(structures: str | Path | Crystals | Sequence[Structure | Atoms]) -> StructureFile:
    """Structures from a file, or others named by their positions."""
    from nucleate.io.files import read_structures
    from nucleate.io.validation import StructureFile

    if isinstance(structures, str | Path):
        return read_structures(structures)
    crystals = as_crystals(structures)
    rows = list(range(len(crystals)))
    return StructureFile(crystals, [str(row) for row in rows], rows)
