"""Comparison of models, searchers and files of structures: one protocol, a run each, one table of what was measured.

```
OUT/LABEL/                        the run of a source, as `design` or `screen` leaves it
OUT/LABEL/judged/                 the same relaxations as another reference judges them
OUT/requests/LABEL/CONDITION/     the run of a request
OUT/comparison.csv, comparison.json
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nucleate.campaign.comparison.sources import (
    REQUEST_RUNS,
    REQUESTS,
    BenchmarkRequest,
    Source,
    requests_of,
    sources_of,
    unmeasured,
)
from nucleate.campaign.design import design
from nucleate.campaign.screen import screen
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.evaluation.benchmark import (
    ALL,
    ALL_STAGES,
    COLUMNS,
    COMMON,
    GENERATION,
    MOST_ATOMS,
    MOST_ELEMENTS,
    NOT_ASKED,
    ON_TARGET,
    common_subset,
    excluded_symbols,
    group_counts,
    measures,
    measures_of_reference,
    rate_row,
)
from nucleate.evaluation.reference_comparison import sampled
from nucleate.execution.executor import Progress, silent
from nucleate.intervals import Rate, wilson
from nucleate.io.files import read_structures
from nucleate.io.writing import write_json, write_whole
from nucleate.runs.record import versions
from nucleate.runs.run import Run, held_run
from nucleate.screening.funnels import funnel_of
from nucleate.screening.ranking import is_sun
from nucleate.screening.reevaluation import magnetization, reevaluated
from nucleate.screening.stages import new_record
from nucleate.settings import CompareSettings, DesignSettings, ScreenSettings
from nucleate.symmetry.space_group import space_groups

if TYPE_CHECKING:
    from nucleate.data.reference import Reference

RECORD, TABLE = "comparison.json", "comparison.csv"
MOST_PER_REQUEST = 50
"""Crystals of each of the fixed requests, unless the settings say how many."""
_EVALUATING = ("relax", "judge")


def compare_sources(
    settings: CompareSettings,
    folder: Path,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Draw crystals from each source, screen all alike, and measure.

    Arguments:
        settings: The sources, and how they are screened.
        folder: Holds a run for each source, ``comparison.csv`` and ``comparison.json``.
        resume: Go on with what lies in the folder.
        workers: Worker processes for relaxation.
        progress: Called with how far each stage of each run is.

    Returns:
        What was measured: ``source`` and the columns of :data:`nucleate.evaluation.benchmark.COLUMNS`.

    Raises:
        UserError: A source, a reference or the data cannot be used, or the folder holds other runs.
    """
    n = settings.n
    per_request = min(MOST_PER_REQUEST, n) if settings.per_request is None else settings.per_request
    screening = settings.screen.model_copy(update={"reference": settings.references[0]})
    sources, warnings = sources_of(settings.models, settings.files)
    funnel = funnel_of(screening)
    others = [name for name in dict.fromkeys(settings.references) if name != screening.reference]
    loaded = {name: Reference.load(name) for name in (screening.reference, *others)}
    labels = _reference_labels(loaded)
    groups, data_name = _data_groups(loaded[screening.reference], settings.data)
    begun = new_record(settings, screening, loaded[screening.reference], ())
    job = _Job(folder, settings, screening, workers, progress)
    parts: list[pd.DataFrame] = []
    about: list[dict[str, Any]] = []
    protocol: dict[str, Any] = {}
    cited: set[str] = set()
    with held_run(folder, begun, resume) as whole:
        for source in sources:
            run = job.run(source, n, resume)
            costs = _costs(run)
            table = run.candidates()
            first = labels[screening.reference]
            own = [measures(table, first, groups, funnel), _per_core_hour(table, costs, first)]
            for name in others:
                again = reevaluated(run, name)
                own += [measures_of_reference(again, labels[name]), _per_core_hour(again, costs, labels[name])]
            rates, refused = job.on_request(source, per_request, run) if per_request else ([], {})
            own.append(pd.DataFrame([rate_row(rate) | {"subset": ALL} for rate in rates], columns=list(COLUMNS)))
            parts += [part.assign(source=source.label) for part in own if len(part)]
            protocol = run.record.protocol.stated()
            cited |= set(run.record.citations)
            about.append(
                source.about()
                | {"run": source.label, "n": run.record.n, "drawn_from": run.record.drawn_from}
                | {"costs": costs, "not_offered": refused}
                | {"unjudged": unmeasured(source.entry.conditions) if source.entry and per_request else []}
            )
        rows = [row for part in parts for row in part.to_dict("records")]
        found = pd.DataFrame(rows, columns=["source", *COLUMNS])
        write_whole(folder / TABLE, found.to_csv(index=False, float_format="%.6g").encode())
        record = {
            "command": "compare",
            "n": n,
            "seed": screening.seed,
            "sampler": settings.sampler,
            "draw_below": settings.draw_below,
            "sources": about,
            "references": [labels[name] for name in loaded],
            "protocol": protocol,
            "data": data_name,
            "data_groups": groups,
            "subset": f"at most {MOST_ELEMENTS} elements and {MOST_ATOMS} atoms, without {excluded_symbols()}",
            "requests": [{"where": t.where, "counts_if": t.counts_if} for t in REQUESTS] if per_request else [],
            "per_request": per_request,
            "versions": versions(),
            "citations": sorted(cited),
            "warnings": warnings,
        }
        write_json(folder / RECORD, record)
        whole.update(citations=sorted(cited), warnings=warnings)
    return found


@dataclass(frozen=True)
class _Job:
    """Settings and references that all runs of a comparison share."""

    folder: Path
    settings: CompareSettings
    screening: ScreenSettings
    workers: int | None
    progress: Progress

    def run(self, source: Source, n: int, resume: bool) -> Run:
        """The run of a source: new, gone on with, or found finished."""
        place, report = self.folder / source.label, self._reported(source.label)
        if source.file is not None:
            return screen(source.file, self.screening, place, resume, self.workers, report, n)
        return design(self._settings(source, n, self.screening), place, resume, self.workers, report)

    def on_request(self, source: Source, n: int, free: Run) -> tuple[list[Rate], dict[str, str]]:
        """Shares on target of each request that a source takes, beside its free crystals; and what it refuses."""
        rates, refused = [], {}
        for request in requests_of(source.entry) if source.entry is not None else ():
            of_descriptor = request.quantity.measure == "descriptor"
            descriptors = request.quantity.name if of_descriptor else "none"
            plain = {"funnel": "none", "thresholds": (), "descriptors": descriptors}
            screening = self.screening.model_copy(update=plain)
            if not request.quantity.relaxed:
                screening = screening.without_relaxation()
            settings = self._settings(source, n, screening, (request.where,))
            place = self.folder / REQUEST_RUNS / source.label / request.quantity.name
            report = self._reported(f"{source.label}, {request.quantity.name}")
            try:
                run = design(settings, place, True, self.workers, report)
            except UserError as error:
                if error.where != "--where":
                    raise
                refused[request.where] = f"found {error.found}; expected {error.expected}"
                continue
            rates.append(request.rate(_measured(run, request), ON_TARGET))
            if request.quantity.measure != "crystal":
                rates.append(request.rate(_measured(free, request), NOT_ASKED))
        return [rate for rate in rates if rate is not None], refused

    def _settings(
        self, source: Source, n: int, screening: ScreenSettings, where: tuple[str, ...] = ()
    ) -> DesignSettings:
        walks = source.kind == "model"
        return DesignSettings.checked(
            {
                "model": source.entry.name if source.entry else "",
                "n": n,
                "where": where,
                "sampler": self.settings.sampler if walks else "default",
                "draw_below": self.settings.draw_below if walks else None,
                "device": self.settings.device,
                "screen": screening,
            }
        )

    def _reported(self, label: str) -> Progress:
        """Progress whose stages name the source."""

        def report(stage: str, done: int, total: int) -> None:
            self.progress(f"{label}: {stage}", done, total)

        return report


def _measured(run: Run, request: BenchmarkRequest) -> pd.DataFrame:
    """The candidates with the column in which a request is judged."""
    table, column = run.candidates(), request.quantity.column
    if request.quantity.measure != "moments":
        return table
    return table.assign(**{column: magnetization(run)[column].to_numpy()})


def _costs(run: Run) -> dict[str, float | None]:
    """Core-seconds for each crystal of the run, over all its sessions: generation; relaxation and judging."""
    timings = run.record.timings

    def each(*stages: str) -> float | None:
        spent = [timings[stage].core_seconds for stage in stages if stage in timings]
        return sum(spent) / run.record.n if spent else None

    return {"generation": each("generate"), "relaxation and judging": each(*_EVALUATING)}


def _per_core_hour(candidates: pd.DataFrame, costs: Mapping[str, float | None], reference: str) -> pd.DataFrame:
    """S.U.N. crystals per core-hour; those of the subset per core-hour spent on all, which is what they cost."""
    made, evaluated = costs["generation"], costs["relaxation and judging"]
    sun = is_sun(candidates)
    n = len(candidates)
    rows = []
    for subset, mask in ((ALL, sun), (COMMON, sun & common_subset(candidates).astype(bool))):
        low, high = wilson(int(mask.sum()), n)
        for metric, seconds in ((GENERATION, made), (ALL_STAGES, _sum(made, evaluated))):
            if seconds and n:
                scale = 3600 / seconds
                share = int(mask.sum()) / n
                rows.append((subset, reference, metric, "all", share * scale, low * scale, high * scale))
    return pd.DataFrame(rows, columns=list(COLUMNS[:7])).reindex(columns=list(COLUMNS))


def _sum(made: float | None, evaluated: float | None) -> float | None:
    return None if made is None or evaluated is None else made + evaluated


def _reference_labels(loaded: Mapping[str, Reference]) -> dict[str, str]:
    """Names of the references in tables: their own, or how they were asked for where two share one."""
    names = [reference.name for reference in loaded.values()]
    return {key: ref.name if names.count(ref.name) == 1 else key for key, ref in loaded.items()}


def _data_groups(reference: Reference, data: Path | None) -> tuple[dict[str, dict[str, int]], str]:
    """Counts of the space groups of the data, all and of the subset, and what the data are called."""
    crystals = reference.structures if data is None else read_structures(data).crystals
    name = f"the known structures of {reference.name}" if data is None else data.name
    if not len(crystals):
        return {ALL: {}, COMMON: {}}, name
    chosen = sampled(crystals)
    found = space_groups(chosen).numpy()
    held = pd.DataFrame(
        {
            "numbers": [chosen.sites(i)[0].tolist() for i in range(len(chosen))],
            "n_atoms": chosen.n_atoms.tolist(),
        }
    )
    inside = common_subset(held).to_numpy(bool)
    return {ALL: group_counts(found), COMMON: group_counts(found[inside])}, name
