"""What is said of a relaxed candidate: energies on the hull, symmetry, validity, uniqueness and novelty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import compositions, reduced
from nucleate.errors import Status
from nucleate.runs.candidates import Row, crystals_of, final_crystals
from nucleate.runs.columns import CANDIDATE_COLUMNS, INPUT_COLUMNS, WHY_UNDEFINED
from nucleate.screening.protocols import asked_matcher
from nucleate.screening.protostructure_filter import LEFT_OUT
from nucleate.screening.run_funnel import StructureTypes, asked_funnel, asks_for_types, funnel_columns, stop_rows
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.crystal.crystals import Crystals
    from nucleate.data.reference import Reference

HAS_GEOMETRY = frozenset({Status.OK, Status.UNCONVERGED, Status.TIME_LIMIT, Status.NO_REFERENCE})
"""Outcomes of a relaxation that leave a structure worth comparing."""

NOT_COMPARED = frozenset({Status.NOT_FINITE, *LEFT_OUT})
"""Outcomes without anything that could be unique or novel."""

LOWEST_FORMATION_ENERGY = -8.0
"""eV/atom; no compound comes near it (the lowest, fluorides and oxides of early transition metals, end at -4.5). What
lies below is a hole of the potential, into which crystals far from its training data fall."""

OF_THE_REFERENCE = (
    "formation_energy",
    "energy_above_hull",
    "n_competing_phases",
    "is_novel",
    "formula_known",
    "is_stable",
)
"""Columns that another reference fills otherwise."""


class Judge:
    """Judges chunks of candidates in order; remembers the unique crystals among those it has seen.

    Arguments:
        settings: Thresholds and tolerances.
        reference: Competing phases and known structures.
        request: What was asked for; without it nothing is said of meeting it.
    """

    def __init__(self, settings: ScreenSettings, reference: Reference, request: Conditions | None = None) -> None:
        from nucleate.matching.library import StructureLibrary
        from nucleate.potentials.potential import scale_of

        self.settings, self.reference, self.request = settings, reference, request
        self.descriptors = asked_descriptors(settings)
        self.funnel = asked_funnel(settings)
        self.extra_columns = funnel_columns(self.funnel)
        self._types = StructureTypes(reference, settings) if asks_for_types(self.funnel) else None
        matcher = asked_matcher(settings)
        self._known = StructureLibrary.of(reference.structures, matcher)
        self._scale = scale_of(settings.potential)
        self._seen = StructureLibrary(matcher)
        self._seen_ids: list[str] = []

    def remember(self, candidates: Sequence[Row]) -> None:
        """Take in rows that were judged before, so that later ones are compared with them."""
        unique = [row for row in candidates if row["is_unique"]]
        crystals = final_crystals(unique)
        for i, row in enumerate(unique):
            self._seen.append(crystals, i, len(self._seen_ids))
            self._seen_ids.append(row["id"])

    def judged(self, rows: Sequence[Row], relaxed: Mapping[int, Row]) -> list[Row]:
        """The rows of ``candidates`` for one chunk: ``rows`` as generated, ``relaxed`` by row number."""
        merged = [_merge(row, relaxed.get(i)) for i, row in enumerate(rows)]
        self._as_generated([row for row in merged if row["numbers"]])
        for row in merged:
            self._place_on_hull(row)
        final = [row for row in merged if row["relaxed_frac"] is not None]
        self._symmetry_and_rmsd(final)
        comparable = [row for row in merged if row["numbers"] and row["status"] not in NOT_COMPARED]
        self._compare(comparable)
        self._find_stable(merged)
        if self.request is not None and self.request.of_the_crystal:
            for row in merged:
                row["meets_request"] = bool(row["numbers"]) and meets(self.request, row)
        if self.funnel is not None:
            stop_rows(self.funnel, merged)
        return merged

    def rejudged(self, rows: Sequence[Row]) -> list[Row]:
        """Rows that another reference has judged, with all that depends on a reference as this one has it.

        Relaxations, symmetry, descriptors and uniqueness do not, and are kept.
        """
        fresh: list[Row] = []
        for row in rows:
            placed = row["status"] != Status.NO_REFERENCE
            said = {} if placed else {"status": str(Status.OK), "reason": ""}
            fresh.append({**row, **dict.fromkeys(OF_THE_REFERENCE), **said})
        for row in fresh:
            self._place_on_hull(row)
        compared = [row for row in fresh if row["numbers"] and row["status"] not in NOT_COMPARED]
        if compared:
            self._find_novel(compared, final_crystals(compared))
        self._find_stable(fresh)
        return fresh

    def _as_generated(self, rows: list[Row]) -> None:
        from nucleate.descriptors.geometry import validity
        from nucleate.symmetry.space_group import space_groups

        if not rows:
            return
        crystals = crystals_of(rows)
        verdict = validity(crystals)
        groups = space_groups(crystals, self.settings.symprec).tolist()
        for i, row in enumerate(rows):
            row["is_valid"] = bool(verdict.is_valid[i])
            row["density"] = _known(float(verdict.mass_density[i]))
            row["space_group"] = groups[i] or None
        self._describe(crystals, rows)

    def _describe(self, crystals: Crystals, rows: list[Row]) -> None:
        """Descriptors of the crystals as they came; one that is undefined is null, and the row says so."""
        from nucleate.descriptors.registry import DESCRIPTORS, descriptor_table

        undefined: list[list[str]] = [[] for _ in rows]
        for name, values in descriptor_table(crystals, self.descriptors).items():
            elements = DESCRIPTORS[name].undefined_elements(crystals)
            for row, value, cause, why in zip(rows, values.tolist(), elements, undefined, strict=True):
                row[name] = _known(value)
                if row[name] is None:
                    why.append(f"{name} ({cause})" if cause else name)
        for row, why in zip(rows, undefined, strict=True):
            row[WHY_UNDEFINED] = ", ".join(why)

    def _place_on_hull(self, row: Row) -> None:
        if row["energy_per_atom"] is None:
            return None
        if not self.reference.is_on_scale(self._scale):
            return _without_reference(
                row, f"the reference is on the scale of {self.reference.scale}, not {self._scale}"
            )
        composition = compositions(crystals_of([row]))[0]
        formation = self.reference.formation_energy(composition, row["energy_per_atom"])
        row["formation_energy"] = _known(formation)
        if row["formation_energy"] is None:
            unknown = ", ".join(SYMBOLS[z] for z in composition if z not in self.reference.element_energies)
            return _without_reference(row, f"the reference has no energy of {unknown or 'an element'}")
        if formation < LOWEST_FORMATION_ENERGY:
            row["status"] = Status.EXPLODED
            row["reason"] = f"the potential fails: a formation energy of {formation:.3g} eV/atom"
            return row.update(dict.fromkeys(("energy_per_atom", "formation_energy", "relaxed_frac", "relaxed_lattice")))
        place = self.reference.hull.distance(composition, formation)
        row["n_competing_phases"] = place.n_competing
        row["energy_above_hull"] = _known(place.energy_above_hull)
        if row["energy_above_hull"] is None:
            missing = ", ".join(place.missing) or "competing phases"
            return _without_reference(row, f"the reference lacks {missing}")
        return None

    def _symmetry_and_rmsd(self, rows: list[Row]) -> None:
        from nucleate.matching.rmsd import rmsd_to_relaxed
        from nucleate.symmetry.space_group import space_groups

        if not rows:
            return
        after = final_crystals(rows)
        groups = space_groups(after, self.settings.symprec).tolist()
        moved = rmsd_to_relaxed(crystals_of(rows), after)
        for i, row in enumerate(rows):
            row["relaxed_space_group"] = groups[i] or None
            row["rmsd_to_relaxed"] = _number(moved["rmsd_to_relaxed"].iloc[i])
            row["rmsd_matched"] = _flag(moved["rmsd_matched"].iloc[i])

    def _find_stable(self, rows: list[Row]) -> None:
        import pandas as pd

        from nucleate.screening.ranking import is_stable

        stable = is_stable(pd.DataFrame(rows), self.settings.stable_within)
        for i, row in enumerate(rows):
            row["is_stable"] = _flag(stable.iloc[i])

    def _find_novel(self, rows: list[Row], crystals: Crystals) -> None:
        from nucleate.matching.novelty import novelty

        news = novelty(crystals, self._known, self.reference.phases["formula"])
        for i, row in enumerate(rows):
            row["is_novel"] = _flag(news["is_novel"].iloc[i])
            row["formula_known"] = _flag(news["formula_known"].iloc[i])

    def _compare(self, rows: list[Row]) -> None:
        if not rows:
            return
        crystals = final_crystals(rows)
        self._find_novel(rows, crystals)
        first = len(self._seen_ids)
        twins = self._seen.take(crystals, [first + i for i in range(len(rows))])
        self._seen_ids.extend(row["id"] for row in rows)
        for row, twin in zip(rows, twins, strict=True):
            row["is_unique"] = None if twin.is_known is None else not twin.is_known
            if twin.index is not None:
                row["duplicate_of"] = self._seen_ids[twin.index]
        if self._types is not None:
            self._types.fill(rows, crystals)


def asked_descriptors(settings: ScreenSettings) -> tuple[str, ...]:
    """Names of the descriptors that candidates get beside the columns that all of them have.

    What a funnel reads is computed even if it was not asked for by name.

    Raises:
        UserError: One is not a descriptor.
    """
    from nucleate.descriptors.registry import DESCRIPTORS, select

    funnel = asked_funnel(settings)
    read = funnel.columns if funnel else ()
    asked = {*select(settings.descriptors), *read} - set(CANDIDATE_COLUMNS)
    return tuple(name for name in DESCRIPTORS if name in asked)


def meets(request: Conditions, row: Mapping[str, Any]) -> bool:
    """Whether a candidate has the elements, composition, size and space group that were asked for.

    Nothing is said of properties: one number is no window, and what guidance reaches is a matter of rates.
    """
    counts = compositions(crystals_of([row]))[0]
    if request.chemical_system is not None:
        asked, found = set(request.chemical_system), set(counts)
        if not (found <= asked if request.allow_subsystems else found == asked):
            return False
    if request.composition is not None and reduced(counts) != dict(request.composition):
        return False
    if request.n_atoms is not None and not request.n_atoms[0] <= row["n_atoms"] <= request.n_atoms[1]:
        return False
    found_group = row["relaxed_space_group"] or row["space_group"]
    return request.space_group is None or found_group == request.space_group


def _merge(row: Row, relaxed: Row | None) -> Row:
    """A row as generated with the outcome of its relaxation; a failed one keeps no relaxed structure."""
    if relaxed is None:
        return {**_BLANK, **row}
    has_geometry = relaxed["status"] in HAS_GEOMETRY
    return {
        **_BLANK,
        **row,
        "status": relaxed["status"],
        "reason": relaxed["reason"],
        "relaxed_frac": relaxed["frac"] if has_geometry else None,
        "relaxed_lattice": relaxed["lattice"] if has_geometry else None,
        "energy_per_atom": _known(relaxed["energy_per_atom"]) if has_geometry else None,
    }


_BLANK: Row = dict.fromkeys(name for name in CANDIDATE_COLUMNS if name not in INPUT_COLUMNS)


def _without_reference(row: Row, reason: str) -> None:
    """Only a crystal that is otherwise fine takes this status: its distance to the hull is unknown, not 0."""
    if row["status"] == Status.OK:
        row["status"], row["reason"] = Status.NO_REFERENCE, reason


def _known(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _number(value: Any) -> float | None:
    """A nullable number as Python has it."""
    import pandas as pd

    return None if pd.isna(value) else _known(float(value))


def _flag(value: Any) -> bool | None:
    """A nullable Boolean as Python has it."""
    import pandas as pd

    return None if pd.isna(value) else bool(value)
