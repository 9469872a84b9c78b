"""What a finished run hands over: the ranked table, the survivors as CIFs, and the hull they lie on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nucleate.campaign.comparing import write_comparison
from nucleate.campaign.filtering import write_funnel
from nucleate.campaign.reference_profile import write_profile
from nucleate.campaign.run_store import Run
from nucleate.config import ScreenSettings
from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.crystal.writing import write_json, write_whole, writing
from nucleate.errors import RELAXED
from nucleate.evaluation.ranking import ranked

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.data.reference import Reference

MAX_CIFS = 200
_MATRICES = ["numbers", "frac", "lattice", "relaxed_frac", "relaxed_lattice"]


def hand_over(run: Run, reference: Reference, settings: ScreenSettings, system: Sequence[int] | None = None) -> None:
    """Write ``ranked.csv``, ``cifs/``, ``hull.json``, ``reference.json``, ``comparison.json``, ``funnel.json``.

    Each run of it gives the same files.

    Arguments:
        run: A run whose chunks are all there.
        reference: The competing phases and known structures.
        settings: How the run was screened.
        system: Atomic numbers whose hull is kept; those of the best candidate by default.
    """
    table = ranked(run.candidates())
    text = table.drop(columns=_MATRICES).to_csv(index=False, float_format="%.6g")
    write_whole(run.folder / "ranked.csv", text.encode())
    survivors = table[table["status"].isin(RELAXED)].head(MAX_CIFS)
    _write_cifs(run, survivors, run.record["protocol"]["symprec"])
    if system is None and len(survivors):
        system = sorted({int(z) for z in survivors.iloc[0]["numbers"]})
    _write_hull(run, reference, system or ())
    write_funnel(run)
    write_profile(run, reference, settings.reference)
    write_comparison(run, reference, settings.reference)


def _write_cifs(run: Run, survivors: pd.DataFrame, symprec: float) -> None:
    """Relaxed structures under the symmetry found in them, named by candidate; the best ``MAX_CIFS``."""
    from nucleate.crystal.cif_writer import cif_texts
    from nucleate.evaluation.table_crystals import table_crystals

    folder, scratch = run.folder / "cifs", run.folder / "cifs.part"
    texts = cif_texts(table_crystals(survivors, relaxed=True), survivors["id"].tolist(), symprec)
    with writing(folder):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for id_, formula, text in zip(survivors["id"], survivors["formula"], texts, strict=True):
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
