"""Structures of any origin: relaxed, placed, compared, ordered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.api.files import as_crystals, as_file, write_report
from nucleate.execution.progress import Progress, silent
from nucleate.screening.protocols import screen_settings

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core import Structure

    from nucleate.campaign.self_check import Check
    from nucleate.crystal.crystals import Crystals
    from nucleate.evaluation.summary import Summary
    from nucleate.runs.run import Run


def screen(
    structures: str | Path | Crystals | Sequence[Structure | Atoms],
    out: str | Path = "runs/screen",
    *,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **screening: Any,
) -> Run:
    """Relax, place on the hull, compare, rank and report any structures: a file, a batch, or a list of objects.

    Raises:
        UserError: The structures cannot be read, or the folder is not usable.
    """
    from nucleate.campaign.screen import screen as run_screen

    source = Path(structures) if isinstance(structures, str | Path) else as_crystals(structures)
    run = run_screen(source, screen_settings(screening), Path(out), resume, workers, progress)
    write_report(out)
    return run


def evaluate(
    structures: str | Path | Crystals | Sequence[Structure | Atoms],
    *,
    relax: bool | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    **screening: Any,
) -> Summary:
    """The metrics of a set of structures, with protocol and intervals.

    Arguments:
        structures: A file, a batch, or a list of objects.
        relax: Without it the structures count as relaxed already; by default as the protocol has it.
        workers: Worker processes.
        progress: Called with a stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``, such as ``protocol="mattergen"``.
    """
    from nucleate.campaign.screen import evaluate as run_evaluate

    source = Path(structures) if isinstance(structures, str | Path) else as_crystals(structures)
    return run_evaluate(source, screen_settings(screening, relax), workers, progress)


def self_check(*, workers: int | None = None, progress: Progress = silent, **screening: Any) -> tuple[Check, ...]:
    """Whether potential, reference and matcher tell what is known from what is nonsense.

    Arguments:
        workers: Worker processes.
        progress: Called with a stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``, such as ``reference``.

    Raises:
        UserError: The reference holds no structures on its hull.
    """
    from nucleate.campaign.self_check import self_check as run_checks

    return run_checks(screen_settings(screening, relax=True), workers=workers, progress=progress)


def orderings(
    structures: str | Path | Crystals | Sequence[Structure | Atoms],
    out: str | Path,
    *,
    cells: int = 2,
    smallest: float = 0.1,
    potential: str = "chgnet",
    progress: Progress = silent,
) -> pd.DataFrame:
    """Write the collinear magnetic orderings of structures for DFT; returns a row for each structure.

    Arguments:
        structures: A file, a batch, or a list of objects.
        out: Folder, new or empty.
        cells: Primitive cells in the largest supercell.
        smallest: Sites with a smaller moment are not magnetic, µB.
        potential: Whose moments count.
        progress: Called with a stage, the number of structures done, and of all.

    Raises:
        UserError: The structures cannot be read, the potential knows no moments, or ``out`` cannot be written.
    """
    from nucleate.campaign.orderings import orderings_to

    found = as_file(structures)
    return orderings_to(found, Path(out), cells=cells, smallest=smallest, potential=potential, progress=progress)
