"""Crystals to order: of a request, of a chemical system, of a protostructure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.api.files import write_report
from nucleate.execution.progress import Progress, silent
from nucleate.screening.protocols import screen_settings
from nucleate.settings import DesignSettings, resolve_device

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.crystal.crystals import Crystals
    from nucleate.evaluation.phase_diagram import PhaseDiagram
    from nucleate.families.registry import Generator
    from nucleate.runs.run import Run

Where = Iterable[str] | Mapping[str, object]


def load(model: str, device: str = "auto", sampler: str = "default", guidance: Iterable[str] = ()) -> Generator:
    """A generator by name or folder, ready for ``sample(n, where, seed)``.

    Raises:
        UserError: There is no such model, or its weights are damaged.
    """
    from nucleate.families.registry import load_generator

    return load_generator(model, resolve_device(device), sampler, tuple(guidance))


def generate(
    model: str,
    n: int = 16,
    where: Where = (),
    *,
    seed: int = 0,
    allow_subsystems: bool = False,
    guidance: Iterable[str] = (),
    sampler: str = "default",
    device: str = "auto",
) -> Crystals:
    """Crystals that answer a request, as generated."""
    from nucleate.conditions.request import Conditions

    return load(model, device, sampler, guidance).sample(n, Conditions.parse(where, allow_subsystems), seed)


def design(
    model: str,
    n: int = 16,
    where: Where = (),
    out: str | Path = "runs/design",
    *,
    allow_subsystems: bool = False,
    guidance: Iterable[str] = (),
    sampler: str = "default",
    draw_below: float | None = None,
    device: str = "auto",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **screening: Any,
) -> Run:
    """Generate, relax, place on the hull, compare, rank and report into the run folder ``out``.

    Arguments:
        model: A model, a model's folder or a searcher.
        n: Number of crystals.
        where: Conditions such as ``["chemical_system=Li-O"]`` or ``{"chemical_system": "Li-O"}``.
        out: The run's folder.
        allow_subsystems: Elements of the chemical system may be missing.
        guidance: γ of every condition, as ``["2"]``, or of some, as ``["band_gap=3"]``.
        sampler: "default", "paper", or settings to change in the default, such as "steps=50".
        draw_below: Draw each crystal until it lies, as generated, at most so many eV/atom above the hull and is no
            repeat, up to ten times; the lowest are kept where that is not enough.
        device: Where to generate.
        resume: Go on with an interrupted run.
        workers: Worker processes for relaxation.
        progress: Called with a stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``, such as ``seed`` or ``reference``.

    Raises:
        UserError: The request or the folder is not usable.
    """
    from nucleate.campaign.design import design as run_design

    settings = DesignSettings.checked(
        {
            "model": model,
            "n": n,
            "where": texts(where),
            "allow_subsystems": allow_subsystems,
            "guidance": tuple(guidance),
            "sampler": sampler,
            "draw_below": draw_below,
            "device": device,
            "screen": screen_settings(screening),
        }
    )
    run = run_design(settings, Path(out), resume, workers, progress)
    write_report(out)
    return run


def phase_diagram(
    system: str,
    models: Iterable[str] = ("pigen-mp", "random", "substitution"),
    n: int = 64,
    out: str | Path = "runs/phase-diagram",
    *,
    where: Where = (),
    allow_subsystems: bool = False,
    guidance: Iterable[str] = (),
    sampler: str = "default",
    draw_below: float | None = None,
    device: str = "auto",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **screening: Any,
) -> PhaseDiagram:
    """Explore a chemical system with several models at equal relaxations; a run each, and their combined hull.

    Arguments:
        system: Such as "V-Sr-O".
        models: Models and searchers.
        n: Crystals of each.
        out: The folder; ``phase_diagram.html`` in it shows the result.
        where: Further conditions. Models that know ``energy_above_hull`` are asked for 0 unless it is among them.
        allow_subsystems: Elements of the system may be missing.
        guidance: γ for models that take conditions.
        sampler: For models that walk.
        draw_below: Draw crystals of models until they lie so low as generated, in eV/atom above the hull.
        device: Where to generate.
        resume: Go on with an interrupted exploration.
        workers: Worker processes for relaxation.
        progress: Called with a stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``.

    Raises:
        UserError: The system, a model or the folder is not usable.
    """
    from nucleate.campaign.explore import phase_diagram as explore
    from nucleate.report.phase_diagram import build_phase_diagram

    found = explore(
        system,
        tuple(models),
        n,
        Path(out),
        screen_settings(screening),
        where=texts(where),
        allow_subsystems=allow_subsystems,
        guidance=tuple(guidance),
        sampler=sampler,
        draw_below=draw_below,
        device=device,
        resume=resume,
        workers=workers,
        progress=progress,
    )
    for folder in sorted(Path(out).glob("*/run.json")):
        write_report(folder.parent)
    build_phase_diagram(Path(out))
    return found


def wyckoff(
    label: str,
    n: int = 4,
    *,
    seed: int = 0,
    potential: str = "chgnet",
    python: str | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> tuple[Crystals, pd.DataFrame]:
    """Crystals of a protostructure such as ``A2BC4_cF56_227_c_b_e:Al-Mg-O``, lowest energy first, and their table.

    Arguments:
        label: Formula, Pearson symbol, space group, Wyckoff letters and elements.
        n: Most different crystals wanted.
        seed: Equal seeds give equal crystals.
        potential: What relaxes and ranks.
        python: Path of the interpreter that runs it, where this environment cannot.
        workers: Worker processes of the free relaxation.
        progress: Called with a stage, the number through it, and the number of all.
        settings: Fields of ``search.protostructure_filling.FillSettings``, such as ``draws=64``.

    Raises:
        UserError: The label is none, or there is no such potential.
    """
    from nucleate.campaign.wyckoff import realise
    from nucleate.search.protostructure_filling import FillSettings

    crystals, table, _ = realise(
        label,
        n,
        seed=seed,
        settings=FillSettings(**settings),
        potential=potential,
        python=python,
        workers=workers,
        progress=progress,
    )
    return crystals, table


def texts(where: Where) -> tuple[str, ...]:
    """Conditions as the command line takes them."""
    return tuple(f"{k}={v}" for k, v in where.items()) if isinstance(where, Mapping) else tuple(where)
