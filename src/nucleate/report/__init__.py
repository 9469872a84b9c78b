"""The pages of runs: self-contained, made from what lies in their folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from nucleate.report.comparison import build_comparison
from nucleate.report.magnets import build_magnets
from nucleate.report.page import build_report
from nucleate.report.phase_diagram import build_phase_diagram
from nucleate.runs.record import Kind, RunRecord

_BUILDERS: Mapping[Kind, Callable[[Path], Path]] = {
    "design": build_report,
    "screen": build_report,
    "magnets": build_magnets,
    "comparison": build_comparison,
    "exploration": build_phase_diagram,
}


def build_page(folder: Path) -> Path:
    """Make the page of a folder, of the kind that its record says; returns where it lies.

    Raises:
        UserError: The folder has no record, or is not finished.
    """
    return _BUILDERS[RunRecord.read(folder).kind](folder)
