"""The metrics of a set of structures, without keeping a run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nucleate.campaign.progress import Progress, silent
from nucleate.campaign.screen import screen
from nucleate.campaign.summary import run_summary
from nucleate.config import ScreenSettings
from nucleate.crystal.crystals import Crystals

if TYPE_CHECKING:
    from nucleate.evaluation.summary import Summary


def evaluate(
    structures: Path | Crystals,
    settings: ScreenSettings,
    workers: int | None = None,
    progress: Progress = silent,
) -> Summary:
    """Rates and means of a set, with protocol and intervals.

    Arguments:
        structures: A file of structures, or a batch.
        settings: How they are judged; ``without_relaxation()`` takes the structures as relaxed already.
        workers: Worker processes.
        progress: Told how many are through.

    Raises:
        UserError: The file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="nucleate-") as folder:
        run = screen(structures, settings, Path(folder) / "run", workers=workers, progress=progress)
        return run_summary(run)
