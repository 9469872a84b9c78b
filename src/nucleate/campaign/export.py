"""A finished run's exports: ranked table, CIFs, hull, comparison with its reference, and rates."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import JsonValue

from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.crystal.formula import compositions
from nucleate.errors import RELAXED
from nucleate.evaluation.reference_comparison import Profile, Sample, compare
from nucleate.evaluation.summary import Protocol, Summary, sample_curves, summarise
from nucleate.io.cif_writer import cif_texts
from nucleate.io.writing import write_json, write_whole, writing
from nucleate.runs.candidates import Candidates
from nucleate.runs.run import Run
from nucleate.screening.funnels import run_funnel, write_funnel
from nucleate.screening.protocols import run_outcome
from nucleate.screening.ranking import rank_order, ranked
from nucleate.screening.reference_profile import kept, write_profile
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.data.reference import Reference

FILE = "comparison.json"


def write_comparison(run: Run, reference: Reference, name: str) -> None:
    """Write ``comparison.json``: rates over the number of samples, and the run beside its reference's structures.

    Arguments:
        run: A run whose chunks are all there.
        reference: Its reference; without structures there is nothing to stand beside.
        name: By which the reference was loaded; what is costly of its profile is kept under its content.
    """
    candidates = Candidates.of_run(run)
    table = candidates.to_pandas()
    curves = [{"name": rate.name, "count": rate.count, "total": rate.total} for rate in sample_curves(table)]
    beside = _beside(candidates, reference, name) if len(reference.structures) else None
    content = json.dumps({"curves": curves, "beside": beside}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(run.folder / FILE, content.encode())


def read_comparison(run: Run) -> Mapping[str, Any] | None:
    """The run beside its reference, as :func:`write_comparison` wrote it; None where there is nothing."""
    path = run.folder / FILE
    return json.loads(path.read_text(encoding="utf-8"))["beside"] if path.exists() else None


def _beside(candidates: Candidates, reference: Reference, name: str) -> dict[str, JsonValue]:
    readable, relaxed = candidates.has_sites, candidates.has_status(RELAXED)
    sample = Sample.from_dict(kept(name, "sample", partial(_sample, reference)))
    found = compare(
        candidates[readable].crystals,
        candidates[relaxed].final,
        Profile.of(reference.structures, sample),
        reference.name,
        int((~readable).sum()),
    )
    return found.to_dict()


def _sample(reference: Reference) -> dict[str, JsonValue]:
    found: Sample = Sample.of(reference.structures)
    return found.to_dict()


def run_summary(run: Run) -> Summary:
    """Averages over the candidates of a run."""
    stated = run.record.protocol
    protocol = Protocol(
        potential=stated.potential,
        reference=stated.reference,
        relaxation=stated.relaxation,
        threshold=stated.stability_threshold,
        matcher=stated.matcher,
        n_requested=run.record.n,
        draw_below=run.record.draw_below,
        n_drawn=max(run.record.drawn.values(), default=None),
    )
    candidates = run.candidates()
    if stated.relaxation.startswith("none"):  # as given: there is nothing before and after
        candidates = candidates.drop(columns=["relaxed_space_group", "rmsd_to_relaxed", "rmsd_matched"])
    return replace(
        summarise(candidates, protocol),
        funnel=run_funnel(run),
        published=run_outcome(run),
        comparison=read_comparison(run),
    )


MAX_CIFS = 200


def export_run(run: Run, reference: Reference, settings: ScreenSettings, system: Sequence[int] | None = None) -> None:
    """Write ``ranked.csv``, ``cifs/``, ``hull.json``, ``reference.json``, ``comparison.json``, ``funnel.json``.

    Each run of it gives the same files.

    Arguments:
        run: A run whose chunks are all there.
        reference: The competing phases and known structures.
        settings: How the run was screened.
        system: Atomic numbers whose hull is kept; those of the best candidate by default.
    """
    candidates = Candidates.of_run(run)
    table, request = candidates.to_pandas(), run.record.request
    ranking = _with_properties(run, ranked(table, request))
    write_whole(run.folder / "ranked.csv", ranking.to_csv(index=False, float_format="%.6g").encode())
    best = candidates[rank_order(table, request).to_numpy()]
    best = best[best.has_status(RELAXED).nonzero()[0][:MAX_CIFS]]
    _write_cifs(run, best, run.record.protocol.symprec)
    if system is None and len(best):
        system = sorted(compositions(best.crystals[:1])[0])
    _write_hull(run, reference, system or ())
    write_funnel(run)
    write_profile(run, reference, settings.reference)
    write_comparison(run, reference, settings.reference)


PROPERTIES = "input_properties.csv"
"""Columns of the file that was screened, by the names of candidates."""


def write_properties(run: Run, properties: pd.DataFrame) -> None:
    """Keep the columns of the file that is screened, which ``ranked.csv`` shows beside those that are computed.

    Arguments:
        run: A run, with or without them.
        properties: A row for each candidate, with its name in the column ``id``.
    """
    path = run.folder / PROPERTIES
    if not path.exists():
        write_whole(path, properties.to_csv(index=False).encode())


def _with_properties(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """A ranking with the columns of the screened file at its end; one of the same name as ours has ``input`` in its."""
    path = run.folder / PROPERTIES
    if not path.exists():
        return table
    properties = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    names = {name: f"{name} (input)" for name in properties if name != "id" and name in table}
    texts = properties.rename(columns=names).set_index("id").map(_inert)
    return table.join(texts, on="id")


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    number = re.fullmatch(r"[-+]?[\d.]+(?:e[-+]?\d+)?", text, re.IGNORECASE)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not number else text


def _write_cifs(run: Run, best: Candidates, symprec: float) -> None:
    """Relaxed structures under the symmetry found in them, named by candidate."""
    folder, scratch = run.folder / "cifs", run.folder / "cifs.part"
    texts = cif_texts(best.final, best.ids, symprec)
    with writing(folder):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for id_, formula, text in zip(best.ids, best.column("formula"), texts, strict=True):
            (scratch / f"{id_}_{formula}.cif").write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)


def _write_hull(run: Run, reference: Reference, system: Sequence[int]) -> None:
    phases = reference.phases
    inside = [set(parse_formula(formula)) <= set(system) for formula in phases["formula"]]
    kept = phases.loc[inside, ["formula", "formation_energy", "source"]]
    content = {
        "chemical_system": "-".join(sorted(SYMBOLS[z] for z in system)),
        "reference": reference.name,
        "phases": kept.to_dict("records"),
    }
    write_json(run.folder / "hull.json", content)
