"""Which model to use: all of them under one protocol, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.api.files import write_report
from nucleate.execution.progress import Progress, silent
from nucleate.screening.protocols import screen_settings

if TYPE_CHECKING:
    import pandas as pd


def compare(
    models: Iterable[str] = (),
    n: int = 256,
    out: str | Path = "runs/compare",
    *,
    files: Mapping[str, str | Path] | None = None,
    references: Iterable[str] = ("bundled",),
    per_request: int = 0,
    data: str | Path | None = None,
    sampler: str = "default",
    draw_below: float | None = None,
    device: str = "auto",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **screening: Any,
) -> pd.DataFrame:
    """Sample models, searchers and files of structures, screen all alike, and set them side by side.

    Arguments:
        models: Names or folders; without any, all models that ship and the baselines ``random`` and ``substitution``.
        n: Crystals of each; a larger file is sampled.
        out: The folder: a run for each source, ``comparison.csv``, ``.md``, ``.html`` and ``.json``.
        files: Structures from elsewhere by the name they go by.
        references: The first is that of the runs; the others judge the same relaxations.
        per_request: Crystals of each of a fixed set of requests; 0 leaves them out.
        data: Structures whose space groups are compared with; by default the first reference's.
        sampler: For models that walk.
        draw_below: Draw crystals of models until they lie so low as generated, in eV/atom above the hull.
        device: Where to generate.
        resume: Go on with an interrupted comparison.
        workers: Worker processes for relaxation.
        progress: Called with a source and stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``; the funnel is PIGEN's unless it says otherwise.

    Returns:
        One row a number: ``source``, ``subset``, ``reference``, ``metric``, ``group``, ``value``, its 95 % interval
        ``low`` to ``high``, ``count``, ``total`` and ``median``.

    Raises:
        UserError: A source, a reference or the folder is not usable.
    """
    from nucleate.campaign.comparison.compare import side_by_side
    from nucleate.errors import UserError

    first, *others = tuple(references) or ("bundled",)
    if n < 1 or per_request < 0:
        raise UserError("compare", f"n = {n}, per_request = {per_request}", "1 crystal or more, 0 or more a request")
    found = side_by_side(
        tuple(models),
        n,
        Path(out),
        screen_settings({"funnel": "pigen", **screening, "reference": first}),
        files={name: Path(path) for name, path in (files or {}).items()},
        references=others,
        per_request=per_request,
        data=None if data is None else Path(data),
        sampler=sampler,
        draw_below=draw_below,
        device=device,
        resume=resume,
        workers=workers,
        progress=progress,
    )
    for label in found["source"].unique():
        write_report(Path(out) / label)
    write_report(out)
    return found
