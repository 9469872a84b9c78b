"""The commands for Python, a function each: ``nucleate.design("pigen-mp", n=16, out="runs/mine")``.

A function takes the keywords of its settings class, or the settings themselves in place of them:
``nucleate.design(DesignSettings(model="pigen-mp"), out="runs/mine")``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pandas as pd

from nucleate.campaign.comparison.compare import compare_sources
from nucleate.campaign.design import design as run_design
from nucleate.campaign.explore import phase_diagram as explore
from nucleate.campaign.finetune import finetune as tune
from nucleate.campaign.magnets.campaign import RELAXED, run_campaign
from nucleate.campaign.magnets.plan import default_models, default_predictor
from nucleate.campaign.orderings import orderings_to
from nucleate.campaign.predict import load_predictor, predictions, train_predictor
from nucleate.campaign.screen import evaluate as run_evaluate
from nucleate.campaign.screen import screen as run_screen
from nucleate.campaign.self_check import self_check as run_checks
from nucleate.campaign.train import TrainingTask, train_family
from nucleate.campaign.wyckoff import realise
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.errors import UserError
from nucleate.execution.executor import Progress, silent
from nucleate.families.mattergen.importing import import_model as imported
from nucleate.families.registry import load_generator
from nucleate.io.files import Conversion, convert_structures, read_structures
from nucleate.io.interop import from_objects, from_table
from nucleate.io.validation import StructureFile
from nucleate.options import resolve_device, takes
from nucleate.report import build_page
from nucleate.runs.run import holds_run
from nucleate.screening.protocols import under_protocol
from nucleate.settings import (
    CompareSettings,
    DesignSettings,
    EvaluateSettings,
    ExploreSettings,
    FinetuneSettings,
    GenerateSettings,
    MagnetSettings,
    OrderingsSettings,
    PredictSettings,
    ScreenSettings,
    TrainSettings,
    WyckoffSettings,
)

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from nucleate.campaign.self_check import Check
    from nucleate.evaluation.phase_diagram import PhaseDiagram
    from nucleate.evaluation.summary import Summary
    from nucleate.families.registry import Generator
    from nucleate.runs.run import Run

Structures: TypeAlias = "str | Path | Crystals | pd.DataFrame | Iterable[Structure | Atoms]"
"""A file, a batch, a table with a column of structures, or structures themselves, pymatgen's and ASE's mixed."""
Screened = TypeVar("Screened", DesignSettings, ExploreSettings, MagnetSettings, CompareSettings)


def load(model: str, device: str = "auto", sampler: str = "default", guidance: Iterable[str] = ()) -> Generator:
    """A generator by name or folder, ready for ``sample(n, where, seed)``.

    Raises:
        UserError: There is no such model, or its weights are damaged.
    """
    return load_generator(model, resolve_device(device), sampler, tuple(guidance))


@takes(GenerateSettings, "model", "n", "where")
def generate(settings: GenerateSettings) -> Crystals:
    """Crystals that answer a request, as generated.

    Raises:
        UserError: There is no such model, or it cannot meet the request.
    """
    generator = load(settings.model, settings.device, settings.sampler, settings.guidance)
    return generator.sample(settings.n, settings.where, settings.seed)


@takes(DesignSettings, "model", "n", "where", "out")
def design(
    settings: DesignSettings,
    out: str | Path = "runs/design",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> Run:
    """Generate, relax, place on the hull, compare, rank and report into a run's folder.

    Raises:
        UserError: The request or the folder is not usable.
    """
    run = run_design(_under_protocol(settings), Path(out), resume, workers, progress)
    write_report(out)
    return run


@takes(ExploreSettings, "system", "models", "n", "out")
def phase_diagram(
    settings: ExploreSettings,
    out: str | Path = "runs/phase-diagram",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> PhaseDiagram:
    """Explore a chemical system with several models at equal relaxations; a run each, and their combined hull.

    Models that know ``energy_above_hull`` are asked for 0 unless it is among the conditions.

    Raises:
        UserError: The system, a model or the folder is not usable.
    """
    found = explore(_under_protocol(settings), Path(out), resume, workers, progress)
    for folder in sorted(Path(out).glob("*/run.json")):
        write_report(folder.parent)
    write_report(out)
    return found


@takes(WyckoffSettings, "label", "n")
def wyckoff(
    settings: WyckoffSettings, workers: int | None = None, progress: Progress = silent
) -> tuple[Crystals, pd.DataFrame]:
    """Crystals of a protostructure such as ``A2BC4_cF56_227_c_b_e:Al-Mg-O``, lowest energy first, and their table.

    Raises:
        UserError: The label is none, or there is no such potential.
    """
    crystals, table, _ = realise(settings, workers, progress)
    return crystals, table


@takes(ScreenSettings, "structures", "out")
def screen(
    settings: ScreenSettings,
    structures: Structures,
    out: str | Path = "runs/screen",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> Run:
    """Relax, place on the hull, compare, rank and report any structures.

    Raises:
        UserError: The structures cannot be read, or the folder is not usable.
    """
    run = run_screen(_source(structures), under_protocol(settings), Path(out), resume, workers, progress)
    write_report(out)
    return run


@takes(EvaluateSettings, "structures")
def evaluate(
    settings: EvaluateSettings, structures: Structures, workers: int | None = None, progress: Progress = silent
) -> Summary:
    """The metrics of a set of structures, with protocol and intervals.

    Raises:
        UserError: The structures cannot be read.
    """
    return run_evaluate(_source(structures), under_protocol(settings.screen, settings.relax), workers, progress)


@takes(ScreenSettings)
def self_check(settings: ScreenSettings, workers: int | None = None, progress: Progress = silent) -> tuple[Check, ...]:
    """Whether potential, reference and matcher tell what is known from what is nonsense.

    Raises:
        UserError: The reference holds no structures on its hull.
    """
    return run_checks(under_protocol(settings, relax=True), workers=workers, progress=progress)


@takes(CompareSettings, "models", "n", "out")
def compare(
    settings: CompareSettings,
    out: str | Path = "runs/compare",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Sample models, searchers and files of structures, screen all alike, and compare them.

    Returns:
        One row a number: ``source``, ``subset``, ``reference``, ``metric``, ``group``, ``value``, its 95 % interval
        ``low`` to ``high``, ``count``, ``total`` and ``median``.

    Raises:
        UserError: A source, a reference or the folder is not usable.
    """
    found = compare_sources(_under_protocol(settings), Path(out), resume, workers, progress)
    for label in found["source"].unique():
        write_report(Path(out) / label)
    write_report(out)
    return found


@takes(MagnetSettings, "models", "n", "out")
def magnets(
    settings: MagnetSettings,
    out: str | Path = "runs/magnets",
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Search for magnets without rare earths, as both magnet papers do; ``magnets.html`` in ``out`` shows the result.

    Returns:
        The content of ``magnets.json``: counts of each step, base rate, classes, finalists.

    Raises:
        UserError: Something asked for does not exist or cannot be met, or the folder is not usable.
    """
    shipped: dict[str, object] = {}
    if not settings.models and settings.structures is None:
        shipped["models"] = default_models()
    if "predictor" not in settings.model_fields_set:
        shipped["predictor"] = default_predictor()
    asked = _under_protocol(settings.model_copy(update=shipped))
    content = run_campaign(asked, Path(out), resume, workers, progress)
    if holds_run(Path(out) / RELAXED):
        write_report(Path(out) / RELAXED)
    write_report(out)
    return content


@takes(OrderingsSettings, "structures", "out")
def orderings(
    settings: OrderingsSettings, structures: Structures, out: str | Path, progress: Progress = silent
) -> pd.DataFrame:
    """Write the collinear magnetic orderings of structures for DFT; returns a row for each structure.

    Raises:
        UserError: The structures cannot be read, the potential knows no moments, or ``out`` cannot be written.
    """
    return orderings_to(as_file(structures), settings, Path(out), progress)


@takes(TrainSettings, "family", "data", "out", "overrides")
def train(settings: TrainSettings, out: str | Path, resume: bool = False, progress: Progress = silent) -> Path:
    """Train a model of a family, or a predictor of columns of a table; returns the model's folder.

    Raises:
        UserError: The family, a column, a setting or the data are not usable.
    """
    family, predicts = settings.family, settings.family == "predictor"
    if not predicts and (settings.properties or settings.log10):
        raise UserError("--property", f"the family {family!r}", "predictor, which alone learns columns this way")
    if predicts and settings.hold_out:
        raise UserError("--hold-out-system", "the family 'predictor'", "a family that generates")
    task = _task(settings, out, resume, progress)
    if predicts:
        return train_predictor(settings.properties, task, settings.log10)
    return train_family(family, task, settings.hold_out)


@takes(FinetuneSettings, "model", "data", "properties", "out", "overrides")
def finetune(settings: FinetuneSettings, out: str | Path, resume: bool = False, progress: Progress = silent) -> Path:
    """Teach a model further conditions; returns the folder of the new model.

    Raises:
        UserError: The model, a property, a setting or the data are not usable.
    """
    return tune(settings.model, settings.properties, _task(settings, out, resume, progress), settings.freeze)


@takes(PredictSettings, "model", "structures", "properties")
def predict(settings: PredictSettings, structures: Structures) -> pd.DataFrame:
    """Property columns of structures, one row for each: ``id``, ``status``, ``reason`` and the columns.

    Raises:
        UserError: There is no such predictor or column, or the structures cannot be read.
    """
    predictor = load_predictor(settings.model, resolve_device(settings.device))
    return predictions(predictor, as_file(structures), settings.properties)


def write_report(run: str | Path) -> Path:
    """Build the page of a run, a search for magnets, a comparison or a phase diagram again; returns where it lies.

    Raises:
        UserError: The folder is none of these, another version made it, or it is not finished.
    """
    return build_page(Path(run))


def convert(source: str | Path, target: str | Path) -> Conversion:
    """Write the structures of one file to another, the formats by suffix; returns how many, and what was left out.

    Raises:
        UserError: A format is unknown, or the source holds no crystal.
    """
    return convert_structures(Path(source), Path(target))


def import_model(source: str | Path, out: str | Path, name: str | None = None) -> Path:
    """Make a model folder of a public MatterGen checkpoint; returns the folder.

    Raises:
        UserError: The file cannot be read as tensors alone, or is not a MatterGen; the folder is taken.
    """
    return imported(Path(source), Path(out), name)


def as_crystals(structures: Structures) -> Crystals:
    """A batch of structures of any kind that :func:`screen` takes.

    Raises:
        UserError: One of them is no crystal, or there are none.
    """
    if isinstance(structures, Crystals):
        return structures
    found = as_file(structures)
    if found.failures:
        first = found.failures[0]
        raise UserError(f"structure {first.id}", first.reason, "a crystal")
    if not found.ids:
        raise UserError("structures", "none", "at least one Structure or Atoms")
    return found.crystals


def as_file(structures: Structures) -> StructureFile:
    """Structures of a file, a batch, a table with a column of them, or any iterable of pymatgen's and ASE's.

    What is no crystal is a failure with its reason. Those of no file are named by their positions, or a table's index.
    """
    if isinstance(structures, str | Path):
        return read_structures(structures)
    if isinstance(structures, Crystals):
        rows = list(range(len(structures)))
        return StructureFile(structures, [str(row) for row in rows], rows)
    return from_table(structures) if isinstance(structures, pd.DataFrame) else from_objects(structures)


def _source(structures: Structures) -> Path | Crystals | StructureFile:
    if isinstance(structures, str | Path):
        return Path(structures)
    return structures if isinstance(structures, Crystals) else as_file(structures)


def _under_protocol(settings: Screened) -> Screened:
    """Settings with what the published protocol fixes, where one is followed."""
    return settings.model_copy(update={"screen": under_protocol(settings.screen)})


def _task(
    settings: TrainSettings | FinetuneSettings, out: str | Path, resume: bool, progress: Progress
) -> TrainingTask:
    device = resolve_device(settings.device)
    dataset = load_dataset(settings.data)
    return TrainingTask(dataset, Path(out), settings.overrides, settings.seed, device, resume, progress)
