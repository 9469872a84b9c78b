"""The hull of a chemical system with what several methods found on it: who found which phase, and which are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.crystal.formula import reduced
from nucleate.thermo.hull import Hull

SAME_ENERGY = 0.002
"""eV/atom: a method found the phase of a composition if its best crystal there lies this near the lowest of all; two
relaxations of one structure end that far apart."""

REFERENCE = "reference"
COLUMNS = ["formula", "formation_energy", "is_new", "formula_known", "found_by", "ids", "gain"]


@dataclass(frozen=True)
class PhaseDiagram:
    """The combined hull of a reference and of methods.

    Attributes:
        system: Symbols of the elements.
        phases: A row for each phase on the combined hull, by formula: ``formula``, ``formation_energy`` (eV/atom),
            ``is_new`` (lower than anything in the reference at its composition, and of no known structure),
            ``formula_known``, ``found_by``
            (names joined by commas, ``reference`` among them), ``ids`` (of the crystals, method:id) and ``gain`` (how
            far it lies below the reference's own hull, eV/atom).
    """

    system: tuple[str, ...]
    phases: pd.DataFrame

    def found(self, method: str, new: bool = False) -> int:
        """How many phases on the combined hull a method found, or only the new ones."""
        rows = self.phases[self.phases["is_new"]] if new else self.phases
        return sum(method in names.split(", ") for names in rows["found_by"])


def combined_hull(
    system: Sequence[str],
    known: tuple[Sequence[str], Sequence[float]],
    found: Mapping[str, pd.DataFrame],
) -> PhaseDiagram:
    """The hull of a reference's phases and of relaxed crystals.

    Arguments:
        system: Symbols of the elements.
        known: Formulas of the reference's phases in the system and their formation energies in eV/atom.
        found: For each method its relaxed crystals: ``id``, ``formula``, ``formation_energy``, and ``is_novel``. Rows
            without an energy or outside the system are left out.

    References:
        | MatterGen (Zeni et al., 2025), Fig. 3: structures on the combined hull, by method
    """
    elements = set(system)
    rows = [(REFERENCE, "", formula, float(energy), False) for formula, energy in zip(*known, strict=True)]
    for method, table in found.items():
        usable = table[table["formation_energy"].notna()]
        names = usable[["id", "formula", "formation_energy", "is_novel"]].itertuples(index=False)
        rows += [(method, str(i), str(label), float(energy), novel is True) for i, label, energy, novel in names]
    counts = [parse_formula(formula) for _, _, formula, *_ in rows]
    inside = [{SYMBOLS[z] for z in formula} <= elements for formula in counts]
    rows = [row for row, there in zip(rows, inside, strict=True) if there]
    counts = [formula for formula, there in zip(counts, inside, strict=True) if there]
    hull = Hull(counts, [row[3] for row in rows])
    theirs = [i for i, row in enumerate(rows) if row[0] == REFERENCE]
    reference = Hull([counts[i] for i in theirs], [rows[i][3] for i in theirs])

    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for i, formula in enumerate(counts):
        groups.setdefault(tuple(sorted(reduced(formula).items())), []).append(i)
    phases = []
    for members in groups.values():
        best = min(members, key=lambda i: rows[i][3])
        _, _, name, energy, _ = rows[best]
        if not hull.distance(counts[best], energy).energy_above_hull <= 0:  # unknown where an element has no phase
            continue
        near = [i for i in members if rows[i][3] <= energy + SAME_ENERGY]
        finders = sorted({rows[i][0] for i in near}, key=lambda one: (one != REFERENCE, one))
        phases.append(
            {
                "formula": name,
                "formation_energy": energy,
                "is_new": REFERENCE not in finders and any(rows[i][4] for i in near),
                "formula_known": any(rows[i][0] == REFERENCE for i in members),
                "found_by": ", ".join(finders),
                "ids": ", ".join(f"{rows[i][0]}:{rows[i][1]}" for i in near if rows[i][1]),
                "gain": -reference.distance(counts[best], energy).energy_above_hull,
            }
        )
    table = pd.DataFrame(phases, columns=COLUMNS).sort_values("formula", ignore_index=True)
    return PhaseDiagram(tuple(system), table)
