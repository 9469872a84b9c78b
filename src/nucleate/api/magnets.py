"""Hunts: many crystals in, few left, with everything that a laboratory or a DFT code needs next."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.api.files import write_report
from nucleate.execution.progress import Progress, silent
from nucleate.screening.protocols import screen_settings
from nucleate.settings import MagnetSettings

if TYPE_CHECKING:
    from nucleate.api.generation import Where


def magnets(
    models: str | Iterable[str] = (),
    n: int = 1000,
    out: str | Path = "runs/magnets",
    *,
    structures: str | Path | None = None,
    where: Where = (),
    allow_subsystems: bool = False,
    guidance: Iterable[str] = (),
    sampler: str = "default",
    device: str = "auto",
    elements: Iterable[str] = (),
    predictor: str | None = None,
    data: str | Path | None = None,
    magnetization: str | None = None,
    thresholds: Iterable[str] = (),
    symmetrize: float = 0.0,
    cells: int = 2,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **screening: Any,
) -> dict[str, Any]:
    """Hunt for magnets without rare earths, as both magnet papers do; ``magnets.html`` in ``out`` shows the result.

    Arguments:
        models: Generators by name or folder; the shipped models of the magnet papers if neither this nor
            ``structures`` is given.
        n: Crystals of each model.
        out: The hunt's folder.
        structures: A file of structures, or a run whose crystals are taken, in place of models.
        where: Conditions for every model, such as ``{"saturation_magnetization": "1..1.5"}``.
        allow_subsystems: Elements of a chemical system that is asked for may be missing.
        guidance: γ of every condition, or of some.
        sampler: "default", "paper", or settings.
        device: Where to generate and predict.
        elements: Symbols that are allowed; hydrogen to xenon by default.
        predictor: Property network by name or folder; the shipped one by default, "none" for none.
        data: Table of known crystals with labels: not new, and the base rate is counted on it.
        magnetization: "network" or "moments": which one counts after relaxation; the network where there is one.
        thresholds: Such as ``["predicted_magnetization=0.8"]``.
        symmetrize: Å within which crystals that nothing but low symmetry stops are moved onto higher symmetry.
        cells: Primitive cells in the largest supercell of the orderings.
        resume: Go on with an interrupted hunt.
        workers: Worker processes for relaxation.
        progress: Called with a stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``, such as ``seed`` or ``reference``.

    Returns:
        The content of ``magnets.json``: counts of each step, base rate, classes, finalists.

    Raises:
        UserError: Something asked for does not exist or cannot be met, or the folder is not usable.
    """
    from nucleate.api.generation import texts
    from nucleate.campaign.magnets.campaign import RELAXED, hunt
    from nucleate.campaign.magnets.plan import default_models, default_predictor

    names = (models,) if isinstance(models, str) else tuple(models)
    values: dict[str, Any] = {
        "models": names or (() if structures is not None else default_models()),
        "structures": None if structures is None else str(structures),
        "n": n,
        "where": texts(where),
        "allow_subsystems": allow_subsystems,
        "guidance": tuple(guidance),
        "sampler": sampler,
        "device": device,
        "predictor": default_predictor() if predictor is None else predictor,
        "data": None if data is None else str(data),
        "magnetization": magnetization,
        "elements": tuple(elements) or None,
        "thresholds": tuple(thresholds),
        "symmetrize": symmetrize,
        "cells": cells,
        "screen": screen_settings(screening),
    }
    settings = MagnetSettings.checked({name: value for name, value in values.items() if value is not None})
    content = hunt(settings, Path(out), resume, workers, progress)
    if (Path(out) / RELAXED / "run.json").exists():
        write_report(Path(out) / RELAXED)
    write_report(out)
    return content
