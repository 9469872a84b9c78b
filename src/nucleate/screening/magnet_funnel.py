"""The search for magnets without rare earths as a funnel, and what the two magnet papers counted at each of its steps.

Mal, Mishra & Sen (DiffCrysGen, 2025), section III, and Mal, Seal & Sen (MagGen, 2024).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from nucleate.crystal.elements import SYMBOLS
from nucleate.screening.filters import PASSES, Filter
from nucleate.screening.funnel import Funnel, FunnelResult

HEAVIEST = 54
"""Atomic number of the heaviest element that DiffCrysGen's search allows; the lanthanides lie beyond."""
DEFAULT_ELEMENTS = tuple(SYMBOLS[1 : HEAVIEST + 1])

PREDICTED = ("formation_energy", "saturation_magnetization")
"""Properties that a network may predict before relaxation; the columns are called ``predicted_`` and this."""
BEFORE_RELAXATION = (
    "elements", "new_composition", "predicted_energy", "predicted_magnetization", "min_distance", "space_group",
)  # fmt: skip
TARGETS = ("formation_energy", "magnetization")
"""The two filters that the papers call the design targets."""


@dataclass(frozen=True)
class Passed:
    """Counts of a paper at a step; ``entered`` is None where it does not say how many came."""

    entered: int | None
    passed: int
    note: str = ""


@dataclass(frozen=True)
class PublishedSearch:
    """A paper's counts.

    Attributes:
        work: Key of the work to cite.
        title: What pages call it.
        generated: Crystals at the start.
        steps: What passed, by the name of our filter.
        validity: Relaxations that converged, in %, as printed.
        success: Both targets met, in % of all that were relaxed, as printed.
        base_rate: Both targets met in its training data, in %.
        in_p1, low_symmetry: Generated crystals in P1, and in monoclinic or triclinic groups, in %.
        low_symmetry_data: The latter of its training data; None where it does not say.
    """

    work: str
    title: str
    generated: int
    steps: Mapping[str, Passed]
    validity: float
    success: float
    base_rate: float
    in_p1: float
    low_symmetry: float
    low_symmetry_data: float | None = None


PUBLISHED = (
    PublishedSearch(
        "diffcrysgen",
        "DiffCrysGen",
        1_264_466,
        MappingProxyType(
            {
                "new_composition": Passed(1_264_466, 228_009, "new first: 959,122; then Z ≤ 54"),
                "predicted_energy": Passed(228_009, 104_574, "164,716 below 0"),
                "predicted_magnetization": Passed(104_574, 2_416),
                "min_distance": Passed(2_416, 862, "without periodic images"),
                "space_group": Passed(862, 140, "ternaries alone: 635 of 862"),
                "relaxed": Passed(140, 121, "with DFT"),
                "formation_energy": Passed(121, 107),
                "magnetization": Passed(107, 97, "107 of the 121 alone"),
                "hull": Passed(97, 54, "13 within 0.1 eV/atom"),
                "uniaxial": Passed(54, 51, "by K₁ > 0 from DFT, not by the lattice"),
            }
        ),
        validity=86.4,
        success=69.3,
        base_rate=5.78,
        in_p1=51.43,
        low_symmetry=71.81,
        low_symmetry_data=17.97,
    ),
    PublishedSearch(
        "maggen",
        "MagGen",
        3_183,
        MappingProxyType(
            {
                "predicted_magnetization": Passed(3_183, 3_064, "both predictions: ≤ 0 eV/atom, ≥ 0.5 T"),
                "relaxed": Passed(100, 87, "100 taken at random, with DFT"),
                "formation_energy": Passed(87, 60, "≤ 0 eV/atom"),
                "magnetization": Passed(60, 46, "≥ 0.43 T"),
                "hull": Passed(46, 20, "≤ 0.25 eV/atom"),
                "uniaxial": Passed(12, 2, "K₁ > 1 MJ/m³ of those with ≥ 1 T"),
            }
        ),
        validity=87.0,
        success=46.0,
        base_rate=16.54,
        in_p1=94.49,
        low_symmetry=99.99,
    ),
)
"""The papers' counts. DiffCrysGen prints 65 % where its own counts, 97 of 140, make 69.3 %; its text says space groups
"greater than 16" and "excluding triclinic and monoclinic", which is greater than 15."""


def magnet_funnel(predicted: Collection[str] = PREDICTED, symmetrized: bool = False) -> Funnel:
    """The filters of the search in their order.

    Arguments:
        predicted: Which of :data:`PREDICTED` a network tells before relaxation; filters on the others are left out.
        symmetrized: Some crystals are symmetrized: those must relax to no higher energy than they would have.
    """
    paper = "DiffCrysGen, section III"
    filters = [
        Filter.parse("elements", "elements_allowed = true", title="allowed elements", source=f"{paper} C: Z ≤ 54"),
        Filter.parse("new_composition", "formula_known = false", title="new composition", source=f"{paper} C"),
    ]
    if "formation_energy" in predicted:
        filters.append(
            Filter.parse(
                "predicted_energy",
                "predicted_formation_energy <= -0.2",
                title="predicted formation energy",
                source=f"{paper} C",
                levels=(0.0,),
            )
        )
    if "saturation_magnetization" in predicted:
        filters.append(
            Filter.parse(
                "predicted_magnetization",
                "predicted_saturation_magnetization >= 1",
                title="predicted magnetisation",
                source=f"{paper} C",
                levels=(0.5,),
            )
        )
    holds = Filter.parse(
        "symmetry_holds",
        "symmetry_holds = true",
        title="symmetry costs nothing",
        stage="relaxed",
        source="a crystal that was moved onto its symmetry ends no higher than the one that was not",
    )
    filters += [
        Filter.parse("min_distance", "min_distance >= 1", title="closest atoms", source=f"{paper} C"),
        Filter.parse(
            "space_group",
            "space_group > 15",
            title="neither triclinic nor monoclinic",
            source=f"{paper} C: it says 16, where the monoclinic groups end at 15",
        ),
        Filter.parse("relaxed", "energy_per_atom is known", title="relaxed", source=f"{paper} D: validity rate"),
        *([holds] if symmetrized else []),
        Filter.parse(
            "formation_energy",
            "formation_energy <= -0.2",
            title="formation energy",
            source=f"{paper} D",
            levels=(0.0,),
        ),
        Filter.parse(
            "magnetization",
            "saturation_magnetization >= 1",
            title="saturation magnetisation",
            source=f"{paper} D",
            levels=(0.5,),
        ),
        Filter.parse(
            "hull",
            "energy_above_hull <= 0.4",
            title="near the hull",
            source=f"{paper} D: 0.4 eV/atom, and 0.1 as the stricter count",
            levels=(0.1,),
        ),
        Filter.parse("unique", "is_unique = true", title="each crystal once"),
        Filter.parse(
            "uniaxial",
            "75 <= relaxed_space_group <= 194",
            title="uniaxial lattice",
            source="tetragonal, trigonal and hexagonal groups: one axis stands out. DiffCrysGen takes orthorhombic "
            "ones as well, which --threshold uniaxial=16..194 does",
        ),
    ]
    return Funnel(
        "magnets",
        tuple(filters),
        source="diffcrysgen",
        notes=(
            "Magnetisations are those of all moments in parallel: a network trained on ferromagnetic calculations and "
            "moments without signs cannot tell an antiferromagnet. Only DFT orders the orderings in energy.",
        ),
    )


def before_relaxation(funnel: Funnel) -> Funnel:
    """Its filters that need no relaxation."""
    return replace(funnel, filters=tuple(rule for rule in funnel.filters if rule.name in BEFORE_RELAXATION))


def for_known(funnel: Funnel) -> Funnel:
    """Its filters that say something of crystals that are known and relaxed already."""
    meaningless = {"new_composition", "relaxed", "symmetry_holds", "unique"}
    return replace(funnel, filters=tuple(rule for rule in funnel.filters if rule.name not in meaningless))


@dataclass(frozen=True)
class DeadEnd:
    """The step of a funnel that nothing passes.

    Attributes:
        step: Name of the filter.
        label: The same in words.
        entered: How many came.
        advice: What could be loosened, one line.
        threshold: ``NAME=VALUE`` that lets at least one of them through; empty where no threshold does.
    """

    step: str
    label: str
    entered: int
    advice: str
    threshold: str = ""


_ADVICE = {
    "elements": "allow more elements with --elements, or ask the model for a chemical system",
    "new_composition": "every composition is known: generate more crystals, or ask for other elements",
    "symmetry_holds": "all relax to less without the symmetry: lower the tolerance of --symmetrize",
    "relaxed": "none converged: give them longer with --max-seconds or --max-steps",
    "unique": "only copies are left, which cannot happen in one run",
}
_BESIDES = {
    "space_group": "--sampler symmetry=templates draws crystals with the symmetry of known ones, --symmetrize 0.2 "
    "moves them onto what they nearly have"
}


def dead_end(result: FunnelResult, table: pd.DataFrame) -> DeadEnd | None:
    """Where a funnel ends and what would have to give; None where something passes all of it.

    Arguments:
        result: The funnel applied to the table.
        table: A row a crystal.
    """
    left = np.ones(len(table), bool)
    for step in result.steps:
        rule = step.filter
        if step.in_sequence.passed:
            left &= rule.verdicts(table) == PASSES
            continue
        entered = step.in_sequence.entered
        value = _nearest(rule, table[left])
        if rule.name in _ADVICE:
            return DeadEnd(rule.name, rule.label, entered, _ADVICE[rule.name])
        if value is None:
            return DeadEnd(rule.name, rule.label, entered, "none of them has a value here")
        threshold = f"{rule.name}={value}"
        more = _BESIDES.get(rule.name, "more crystals may do so as well")
        advice = f"--threshold {threshold} lets the nearest one through; {more}"
        return DeadEnd(rule.name, rule.label, entered, advice, threshold)
    return None


def _nearest(rule: Filter, table: pd.DataFrame) -> str | None:
    """The threshold, as text, that the row nearest to passing meets."""
    if rule.column not in table:
        return None
    values = pd.to_numeric(table[rule.column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    values = values[np.isfinite(values)]
    if not len(values) or isinstance(rule.threshold, bool | None):
        return None
    low, high = rule.window
    nearest = values[np.argmin(np.maximum(low - values, values - high))]
    if isinstance(rule.threshold, tuple):
        return f"{min(low, nearest):g}..{max(high, nearest):g}"
    # Rounded away from the value, so that it passes; a strict sign needs room as well.
    down = rule.comparison in (">", ">=")
    digits = 0 if float(nearest).is_integer() else 2
    step = 10.0**-digits
    moved = np.floor(nearest / step) * step if down else np.ceil(nearest / step) * step
    if rule.comparison in (">", "<") and moved == nearest:
        moved += -step if down else step
    return f"{moved:.{digits}f}"
