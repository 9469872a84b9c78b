"""Funnels by name and from files; the funnel of a run, the columns that it needs, and its counts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from nucleate.descriptors.registry import EXTENSIONS
from nucleate.descriptors.spp import shipped_table
from nucleate.errors import UserError
from nucleate.io.writing import write_json
from nucleate.runs.columns import NUMERIC_COLUMNS, PROTOTYPE_COLUMNS, STOPPED_BY
from nucleate.runs.run import Run
from nucleate.screening.filters import Filter
from nucleate.screening.funnel import Funnel, FunnelResult, Largest, apply_funnel
from nucleate.settings import ScreenSettings

MAX_BYTES = 200_000
"""A file of filters is far smaller; anything larger is something else."""


def pigen() -> Funnel:
    """Filters A to F of the PIGEN paper (its Fig. 4, Table 1 and Extended Data Tables 1 and 2)."""
    paper = "PIGEN paper"
    usual = shipped_table().thresholds["all"]
    return Funnel(
        "pigen",
        (
            Filter.parse(
                "spp",
                f"proxy_potential <= {usual}",
                title="A  usual distances (SPP)",
                source="95th percentile of the data set that the potentials come from, as in the PIGEN paper, whose "
                "0.362 belongs to potentials from the ICSD and shortest images",
            ),
            Filter.parse(
                "new_formula",
                "formula_known = false",
                title="B  new reduced formula",
                source=f"{paper}: not in the training set; here not in the run's reference",
            ),
            Filter.parse(
                "compactness", "0.55 < compactness < 0.85", title="C  compactness", source=f"{paper}, Fig. 4c"
            ),
            Filter.parse(
                "m_led",
                "local_environment_diversity > 9",
                title="D  local environments (M_LED)",
                source=f"{paper}, Fig. 4d",
            ),
            Filter.parse(
                "hull",
                "energy_above_hull < 0.05",
                title="E  near the hull",
                source=f"{paper}, Table 1: 100, 50, 35 and 25 meV/atom",
                levels=(0.1, 0.035, 0.025),
            ),
            Filter.parse(
                "new_prototype",
                "has_prototype = false",
                stage="relaxed",
                title="F  no known prototype",
                source=f"{paper}: 9,523 types of the ICSD; here AFLOW's and those of the run's reference",
            ),
        ),
        (Largest("local_environment_diversity", "hull"),),
        "pigen",
        (
            "New means that neither a competing phase nor a known structure of the run's reference has the reduced "
            "formula; the paper compares with its training set.",
            "A to D are taken of the crystal as generated, E and F after relaxation with the run's potential; the "
            "paper adds single points with DFT.",
        ),
    )


def sun() -> Funnel:
    """Valid, stable, unique and novel: what the rates of a run are made of, in sequence."""
    return Funnel(
        "sun",
        (
            Filter.parse("valid", "is_valid = true", title="valid"),
            Filter.parse("relaxed", "energy_per_atom is known", title="relaxed"),
            Filter.parse("placed", "energy_above_hull is known", title="placed on the hull"),
            Filter.parse("stable", "is_stable = true", title="stable"),
            Filter.parse("unique", "is_unique = true", title="unique"),
            Filter.parse("novel", "is_novel = true", title="novel"),
        ),
        source="mattergen",
    )


BUILT_IN: Mapping[str, Callable[[], Funnel]] = MappingProxyType({"pigen": pigen, "sun": sun})
"""Funnels by name."""


def find_funnel(name: str) -> Funnel | None:
    """A funnel by name or from a TOML or JSON file; ``none`` is none.

    A ``funnel.json`` that a run has written is such a file.

    Raises:
        UserError: There is no such funnel or file, or the file does not hold filters.
    """
    if name == "none":
        return None
    if name in BUILT_IN:
        return BUILT_IN[name]()
    path = Path(name)
    if not path.is_file():
        raise UserError("--funnel", repr(name), f"none, {', '.join(BUILT_IN)}, or a TOML or JSON file of filters")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(name, f"{path.stat().st_size:,} bytes", f"a file of filters, at most {MAX_BYTES:,}")
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(name, f"a file that cannot be read ({error})", "TOML or JSON with filters") from None
    if isinstance(values, dict) and isinstance(values.get("funnel"), dict):
        values = values["funnel"]
    if isinstance(values, dict):
        values = {"name": path.stem, **values}
    return Funnel.from_dict(values, name)


def funnel_of(settings: ScreenSettings) -> Funnel | None:
    """The funnel that was asked for, with its thresholds changed; None without one.

    Raises:
        UserError: There is no such funnel, a threshold does not fit it, or it reads a column that no run has.
    """
    funnel = find_funnel(settings.funnel)
    if funnel is None:
        if settings.thresholds:
            raise UserError("--threshold", repr(settings.thresholds[0]), "a funnel beside it, such as --funnel pigen")
        return None
    funnel.check_columns((*NUMERIC_COLUMNS, *EXTENSIONS.names()))
    return funnel.with_thresholds(settings.thresholds)


def asks_for_types(funnel: Funnel | None) -> bool:
    """Whether structure types have to be looked for."""
    return funnel is not None and any(name in PROTOTYPE_COLUMNS for name in funnel.columns)


def funnel_columns(funnel: Funnel | None) -> tuple[str, ...]:
    """Names of the columns that candidates get because of a funnel; descriptors are not among them."""
    if funnel is None:
        return ()
    return (*(PROTOTYPE_COLUMNS if asks_for_types(funnel) else ()), STOPPED_BY)


def run_funnel(run: Run) -> FunnelResult | None:
    """The run's funnel applied to its candidates; None where it has none."""
    described = run.record.funnel
    return None if described is None else apply_funnel(Funnel.from_dict(described), run.candidates())


def write_funnel(run: Run) -> None:
    """Write ``funnel.json``: each filter with its counts and why crystals went, where the run has a funnel."""
    result = run_funnel(run)
    if result is not None:
        content = result.to_dict() | {"protocol": run.record.protocol.stated()}
        ids = run.candidates()["id"]
        content["largest"] = [
            best.to_dict() | {"id": None if best.row is None else ids.iloc[best.row]} for best in result.best
        ]
        write_json(run.folder / "funnel.json", content)
