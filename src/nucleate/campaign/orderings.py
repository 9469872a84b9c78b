"""Magnetic orderings of the structures of a file, written for DFT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nucleate.errors import Status, UserError
from nucleate.execution.executor import Progress, silent
from nucleate.io.files import file_names
from nucleate.io.writing import write_whole
from nucleate.potentials.potential import FAULTS
from nucleate.potentials.registry import load_potential
from nucleate.thermo.magnetism import magnetic_orderings, write_orderings

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.io.validation import StructureFile
    from nucleate.settings import OrderingsSettings

TABLE = "orderings.csv"


def orderings_to(
    structures: StructureFile, settings: OrderingsSettings, out: Path, progress: Progress = silent
) -> pd.DataFrame:
    """Write each structure's orderings to a folder of its name; returns what the table in ``out`` holds.

    Sizes of the moments come from the potential, for the structures as they are.

    Arguments:
        structures: Crystals, and rows that are none.
        settings: Which orderings, by moments of which potential.
        out: Folder, new or empty.
        progress: Called with "orderings", the number of structures done and of all.

    Returns:
        One row a structure: ``id``, ``status``, ``reason``, ``orderings``, ``skipped_supercells``,
        ``magnetization_T`` of the ferromagnetic one.

    Raises:
        UserError: The potential knows no moments, or the folder cannot be written.
    """
    if out.is_dir() and any(out.iterdir()):
        raise UserError(str(out), "something already there", "a new or empty folder")
    source = load_potential(settings.potential)
    rows: list[dict[str, Any]] = []
    for i, (crystal, folder) in enumerate(zip(structures.crystals, file_names(structures.ids), strict=True)):
        row: dict[str, Any] = {"row": structures.rows[i], "id": structures.ids[i], "status": Status.OK, "reason": ""}
        try:
            answer = source.evaluate(crystal)
            moments = answer.magmoms[0]
            if moments.isnan().any():
                if not answer.energy.isfinite().all():
                    raise UserError("structure", "no energy from the potential", "sites that stand apart")
                raise UserError(
                    "--potential", f"{settings.potential}, which knows no moments", "one that does, such as chgnet"
                )
            found = magnetic_orderings(crystal, moments, settings.cells, settings.smallest)
        except UserError as error:
            if error.where == "--potential":
                raise
            row |= {"status": Status.INVALID_INPUT, "reason": f"{error.found}; expected {error.expected}"}
        except FAULTS as error:
            row |= {"status": Status.ERROR, "reason": str(error)}
        else:
            write_orderings(found.found, out / folder)
            size = found.found[0].magnetization
            row |= {"orderings": len(found.found), "skipped_supercells": found.skipped, "magnetization_T": size}
        rows.append(row)
        progress("orderings", i + 1, len(structures.crystals))
    rows += [{"row": f.row, "id": f.id, "status": f.status, "reason": f.reason} for f in structures.failures]
    columns = ["row", "id", "status", "reason", "orderings", "skipped_supercells", "magnetization_T"]
    table = pd.DataFrame(rows, columns=columns).sort_values("row", kind="stable").drop(columns="row")
    table = table.astype({"orderings": "Int64", "skipped_supercells": "Int64"}).reset_index(drop=True)
    write_whole(out / TABLE, table.to_csv(index=False).encode())
    return table
