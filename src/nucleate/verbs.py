"""The verbs of the command line, for Python: ``nucleate.design(...)``, ``nucleate.load("pigen-mp")``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.campaign.progress import Progress, silent
from nucleate.campaign.protocol import screen_settings
from nucleate.config import DesignSettings, resolve_device

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core import Structure

    from nucleate.campaign.models import Generator
    from nucleate.campaign.run_store import Run
    from nucleate.campaign.self_check import Check
    from nucleate.crystal.crystals import Crystals
    from nucleate.crystal.structure_file import StructureFile
    from nucleate.evaluation.phase_diagram import PhaseDiagram
    from nucleate.evaluation.summary import Summary

Where = Iterable[str] | Mapping[str, object]


def _texts(where: Where) -> tuple[str, ...]:
    return tuple(f"{k}={v}" for k, v in where.items()) if isinstance(where, Mapping) else tuple(where)


def load(model: str, device: str = "auto", sampler: str = "default", guidance: Iterable[str] = ()) -> Generator:
    """A generator by name or folder, ready for ``sample(n, where, seed)``.

    Raises:
        UserError: There is no such model, or its weights are damaged.
    """
    from nucleate.campaign.models import load_generator

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
    from nucleate.crystal.conditions import Conditions

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
            "where": _texts(where),
            "allow_subsystems": allow_subsystems,
            "guidance": tuple(guidance),
            "sampler": sampler,
            "device": device,
            "screen": screen_settings(screening),
        }
    )
    run = run_design(settings, Path(out), resume, workers, progress)
    write_report(out)
    return run


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
    from nucleate.campaign.evaluate import evaluate as run_evaluate

    source = Path(structures) if isinstance(structures, str | Path) else as_crystals(structures)
    return run_evaluate(source, screen_settings(screening, relax), workers, progress)


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
        device: Where to generate.
        resume: Go on with an interrupted exploration.
        workers: Worker processes for relaxation.
        progress: Called with a stage, the number through it, and the number of all.
        screening: Fields of ``config.ScreenSettings``.

    Raises:
        UserError: The system, a model or the folder is not usable.
    """
    from nucleate.campaign.phase_diagram import phase_diagram as explore
    from nucleate.report.phase_diagram import build_phase_diagram

    found = explore(
        system,
        tuple(models),
        n,
        Path(out),
        screen_settings(screening),
        where=_texts(where),
        allow_subsystems=allow_subsystems,
        guidance=tuple(guidance),
        sampler=sampler,
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


def train(
    family: str,
    data: str | Path,
    out: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a family on a data set; returns the model's folder.

    Raises:
        UserError: The family, a setting or the data are not usable.
    """
    from nucleate.campaign.training import train_family
    from nucleate.data.dataset import load_dataset

    train_family(
        family,
        load_dataset(data),
        dict(overrides or {}),
        Path(out),
        seed=seed,
        device=resolve_device(device),
        resume=resume,
        progress=progress,
    )
    return Path(out)


def finetune(
    model: str,
    data: str | Path,
    properties: Iterable[str],
    out: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    freeze: bool = True,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Teach a model further conditions; returns the folder of the new model.

    Arguments:
        model: To start from, by name or folder.
        data: Structures with the properties as columns.
        properties: What the new model can be asked for beside what the old one can.
        out: The new model's folder.
        overrides: Settings of the training.
        freeze: Train adapters alone, or all weights.
        seed: Of everything that is drawn.
        device: Where to train.
        resume: Go on with an interrupted training.
        progress: Called with a stage, the number of steps done, and of all.

    Raises:
        UserError: The model, a property, a setting or the data are not usable.
    """
    from nucleate.campaign.finetuning import finetune as tune
    from nucleate.data.dataset import load_dataset

    return tune(
        model,
        load_dataset(data),
        tuple(properties),
        dict(overrides or {}),
        Path(out),
        freeze=freeze,
        seed=seed,
        device=resolve_device(device),
        resume=resume,
        progress=progress,
    )


def train_predictor(
    data: str | Path,
    properties: Iterable[str],
    out: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    log10: bool = False,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a predictor of columns of a table; returns the model's folder.

    Raises:
        UserError: A column, a setting or the data are not usable.
    """
    from nucleate.campaign.predicting import train_predictor as train_on
    from nucleate.data.dataset import load_dataset

    return train_on(
        load_dataset(data),
        tuple(properties),
        dict(overrides or {}),
        Path(out),
        log10=log10,
        seed=seed,
        device=resolve_device(device),
        resume=resume,
        progress=progress,
    )


def predict(
    model: str,
    structures: str | Path | Crystals | Sequence[Structure | Atoms],
    properties: Iterable[str] = (),
    *,
    device: str = "auto",
) -> pd.DataFrame:
    """Property columns of structures, one row for each: ``id``, ``status``, ``reason`` and the columns.

    Arguments:
        model: Folder of a predictor.
        structures: A file, a batch, or a list of objects.
        properties: Some of the model's columns; all of them if empty.
        device: Where to compute.

    Raises:
        UserError: There is no such predictor or column, or the structures cannot be read.
    """
    from nucleate.campaign.predicting import load_predictor, predictions

    predictor = load_predictor(model, resolve_device(device))
    return predictions(predictor, _file_of(structures), tuple(properties))


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

    found = _file_of(structures)
    return orderings_to(found, Path(out), cells=cells, smallest=smallest, potential=potential, progress=progress)


def _file_of(structures: str | Path | Crystals | Sequence[Structure | Atoms]) -> StructureFile:
    """Structures from a file, or others named by their positions."""
    from nucleate.crystal.files import read_structures
    from nucleate.crystal.structure_file import StructureFile

    if isinstance(structures, str | Path):
        return read_structures(structures)
    crystals = as_crystals(structures)
    rows = list(range(len(crystals)))
    return StructureFile(crystals, [str(row) for row in rows], rows)


def write_report(run: str | Path) -> Path:
    """Build ``report.html`` of a run again; returns where it lies."""
    from nucleate.report.page import build_report

    return build_report(Path(run))


def convert(source: str | Path, target: str | Path) -> int:
    """Write the structures of one file to another, the formats by suffix; returns how many.

    Raises:
        UserError: A format is unknown, or the source holds no crystal.
    """
    from nucleate.crystal.files import read_structures, write_structures
    from nucleate.errors import UserError

    found = read_structures(Path(source))
    if not found.ids:
        raise UserError(str(source), f"no crystal; {found.failures[0].reason}", "at least one")
    write_structures(found.crystals, Path(target), ids=found.ids)
    return len(found.ids)


def as_crystals(structures: Crystals | Sequence[Structure | Atoms]) -> Crystals:
    """A batch from pymatgen structures or ASE atoms.

    Raises:
        UserError: Some of them are neither.
    """
    from nucleate.crystal.convert import from_ase, from_pymatgen
    from nucleate.crystal.crystals import Crystals
    from nucleate.errors import UserError

    if isinstance(structures, Crystals):
        return structures
    items = list(structures)
    kinds = {type(item).__name__ for item in items}
    if kinds == {"Atoms"}:
        return from_ase(items)
    if kinds and kinds <= {"Structure", "IStructure"}:
        return from_pymatgen(items)
    raise UserError("structures", f"objects of type {', '.join(sorted(kinds)) or 'none'}", "Structure or Atoms")
