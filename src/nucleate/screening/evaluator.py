"""Evaluation of candidates: energies on the hull, symmetry, validity, uniqueness, novelty and stability.

Each stage is a function that takes candidates and returns them with more columns. The evaluator puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import compositions, count_table
from nucleate.descriptors.geometry import validity
from nucleate.descriptors.registry import DESCRIPTORS, descriptor_table, select
from nucleate.errors import Status
from nucleate.matching.library import StructureLibrary, novelty
from nucleate.matching.prototypes import Prototypes, framework_library, match_prototypes
from nucleate.matching.rmsd import rmsd_to_relaxed
from nucleate.potentials.registry import scale_of
from nucleate.runs.candidates import Candidates, Flags
from nucleate.runs.columns import CANDIDATE_COLUMNS, STOPPED_BY, WHY_UNDEFINED, candidate_columns
from nucleate.screening.funnel import Funnel, stopped_by
from nucleate.screening.funnels import asks_for_types, funnel_columns, funnel_of
from nucleate.screening.protocols import matcher_of
from nucleate.screening.ranking import is_stable
from nucleate.screening.reference_profile import known_types
from nucleate.settings import ScreenSettings
from nucleate.symmetry.space_group import space_groups

if TYPE_CHECKING:
    from nucleate.data.reference import Reference
    from nucleate.relaxation.relaxer import Relaxed

HAS_GEOMETRY = frozenset({Status.OK, Status.UNCONVERGED, Status.TIME_LIMIT, Status.NO_REFERENCE})
"""Outcomes of a relaxation that leave a structure worth comparing."""

NOT_COMPARED = frozenset({Status.NOT_FINITE, Status.REPEATED, Status.KNOWN})
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


class CandidateEvaluator:
    """Evaluates chunks of candidates in order; remembers the unique crystals among those it has seen.

    Arguments:
        settings: Thresholds and tolerances.
        reference: Competing phases and known structures.
        request: What was asked for; without it nothing is said of meeting it.
    """

    def __init__(self, settings: ScreenSettings, reference: Reference, request: Conditions | None = None) -> None:
        self.settings, self.reference, self.request = settings, reference, request
        self.descriptors = descriptors_of(settings)
        self.funnel = funnel_of(settings)
        self._types = known_types(reference, settings.reference) if asks_for_types(self.funnel) else None
        self._frameworks = None if self._types is None else framework_library(self._types)
        matcher = matcher_of(settings)
        self._known = StructureLibrary.of(reference.structures, matcher)
        self._scale = scale_of(settings.potential)
        self._seen = StructureLibrary(matcher)
        self._seen_ids: list[str] = []

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the candidates that it returns, as their Parquet files hold them."""
        return candidate_columns(self.descriptors, funnel_columns(self.funnel))

    def remember(self, candidates: Candidates) -> None:
        """Take in candidates that were evaluated before, so that later ones are compared with them."""
        unique = candidates[np.asarray(candidates.column("is_unique").eq(True).fillna(False), dtype=bool)]
        for i, name in enumerate(unique.ids):
            self._seen.append(unique.final, i, len(self._seen_ids))
            self._seen_ids.append(name)

    def evaluate(self, generated: Candidates, relaxed: Mapping[int, Relaxed]) -> Candidates:
        """A chunk with all its columns.

        Arguments:
            generated: The crystals as they came.
            relaxed: Outcomes of their relaxations by row; one that is no crystal has none.
        """
        found = with_relaxations(generated, relaxed)
        found = describe_generated(found, self.descriptors, self.settings.symprec)
        found = place_on_hull(found, self.reference, self._scale)
        found = describe_relaxed(found, self.settings.symprec)
        comparable = found.has_sites & ~found.has_status(NOT_COMPARED)
        found = self._find_novel(found, comparable)
        found = self._find_unique(found, comparable)
        if self._types is not None:
            found = find_types(found, comparable, self._types, self._frameworks)
        found = self._find_stable(found)
        if self.request is not None and self.request.of_the_crystal:
            found = found.with_columns({"meets_request": meets_request(found, self.request)})
        if self.funnel is not None:
            found = found.with_columns({STOPPED_BY: stopped_by(self.funnel, found.table)})
        return found

    def reevaluate(self, candidates: Candidates) -> Candidates:
        """Candidates evaluated with another reference, with all that depends on a reference as this one has it.

        Relaxations, symmetry, descriptors and uniqueness do not, and are kept.
        """
        n = len(candidates)
        unplaced = candidates.has_status((Status.NO_REFERENCE,))
        anew = candidates.with_columns({name: [None] * n for name in OF_THE_REFERENCE})
        fine = {"status": [Status.OK] * int(unplaced.sum()), "reason": [""] * int(unplaced.sum())}
        found = place_on_hull(anew.with_columns(fine, unplaced), self.reference, self._scale)
        found = self._find_novel(found, found.has_sites & ~found.has_status(NOT_COMPARED))
        return self._find_stable(found)

    def _find_novel(self, candidates: Candidates, where: Flags) -> Candidates:
        if not where.any():
            return candidates
        found = novelty(candidates.final[where.nonzero()[0].tolist()], self._known, self.reference.phases["formula"])
        return candidates.with_columns({name: found[name] for name in ("is_novel", "formula_known")}, where)

    def _find_unique(self, candidates: Candidates, where: Flags) -> Candidates:
        rows = where.nonzero()[0].tolist()
        if not rows:
            return candidates
        first = len(self._seen_ids)
        names = candidates.ids
        same = self._seen.take(candidates.final[rows], [first + i for i in range(len(rows))])
        self._seen_ids.extend(names[i] for i in rows)
        found = {
            "is_unique": [None if one.is_known is None else not one.is_known for one in same],
            "duplicate_of": [None if one.index is None else self._seen_ids[one.index] for one in same],
        }
        return candidates.with_columns(found, where)

    def _find_stable(self, candidates: Candidates) -> Candidates:
        table = candidates.table.assign(energy_above_hull=candidates.column("energy_above_hull"))
        return candidates.with_columns({"is_stable": is_stable(table, self.settings.stable_within)})


def with_relaxations(generated: Candidates, relaxed: Mapping[int, Relaxed]) -> Candidates:
    """Candidates with the outcomes of their relaxations, by row; a failed one keeps no relaxed crystal."""
    rows = sorted(relaxed)
    outcomes = [relaxed[i] for i in rows]
    where = np.zeros(len(generated), bool)
    where[rows] = True
    said = {"status": [one.status for one in outcomes], "reason": [one.reason for one in outcomes]}
    ended = [(i, one) for i, one in zip(rows, outcomes, strict=True) if one.status in HAS_GEOMETRY]
    kept = np.zeros(len(generated), bool)
    kept[[i for i, _ in ended]] = True
    frac = np.concatenate([np.zeros((0, 3)), *(one.frac for _, one in ended)])
    lattice = np.array([one.lattice for _, one in ended]).reshape(-1, 3, 3)
    energies = {"energy_per_atom": np.array([one.energy_per_atom for _, one in ended])}
    return generated.with_columns(said, where).with_relaxed(kept, frac, lattice).with_columns(energies, kept)


def describe_generated(candidates: Candidates, descriptors: Sequence[str], symprec: float) -> Candidates:
    """Candidates with validity, density, space group and descriptors of the crystals as they came.

    A descriptor that is undefined is null, and ``undefined_descriptors`` says why.

    Arguments:
        candidates: With crystals or without.
        descriptors: Names.
        symprec: Tolerance of space groups in Å.
    """
    where = candidates.has_sites
    if not where.any():
        return candidates
    crystals = candidates.crystals[where.nonzero()[0].tolist()]
    checked = validity(crystals)
    found = {
        "is_valid": checked.is_valid.numpy(),
        "density": checked.mass_density.numpy(),
        "space_group": _groups(space_groups(crystals, symprec).numpy()),
    }
    undefined: list[list[str]] = [[] for _ in range(len(crystals))]
    for name, values in descriptor_table(crystals, descriptors).items():
        found[name] = values.numpy()
        unknown = (~values.isfinite()).nonzero().flatten().tolist()
        causes = DESCRIPTORS[name].undefined_elements(crystals) if unknown else []
        for i in unknown:
            undefined[i].append(f"{name} ({causes[i]})" if causes[i] else name)
    why = {WHY_UNDEFINED: [", ".join(names) for names in undefined]}
    return candidates.with_columns({**found, **why}, where)


def place_on_hull(candidates: Candidates, reference: Reference, scale: str) -> Candidates:
    """Candidates with formation energy, energy above the hull (eV/atom) and number of competing phases.

    One whose energy no crystal has is ``exploded``. One that is otherwise fine and cannot be placed is
    ``no_reference``: its energy above the hull is unknown, not 0.

    Arguments:
        candidates: With energies where they were relaxed.
        reference: Competing phases and energies of the elements.
        scale: Of the potential's energies.
    """
    energies = candidates.column("energy_per_atom").to_numpy(dtype=float, na_value=np.nan)
    rows = np.isfinite(energies).nonzero()[0].tolist()
    if not rows:
        return candidates
    on_scale = reference.is_on_scale(scale)
    status, reason = candidates.column("status").tolist(), candidates.column("reason").tolist()
    formation, above = np.full((2, len(candidates)), np.nan)
    competing: list[int | None] = [None] * len(candidates)
    exploded = np.zeros(len(candidates), bool)

    def unplaced(i: int, why: str) -> None:
        if status[i] == Status.OK:
            status[i], reason[i] = Status.NO_REFERENCE, why

    for i, composition in zip(rows, compositions(candidates.crystals[rows]), strict=True):
        if not on_scale:
            unplaced(i, f"the reference is on the scale of {reference.scale}, not {scale}")
            continue
        energy = reference.formation_energy(composition, float(energies[i]))
        if not np.isfinite(energy):
            unknown = ", ".join(SYMBOLS[z] for z in composition if z not in reference.element_energies)
            unplaced(i, f"the reference has no energy of {unknown or 'an element'}")
            continue
        if energy < LOWEST_FORMATION_ENERGY:
            status[i] = Status.EXPLODED
            reason[i] = f"the potential fails: a formation energy of {energy:.3g} eV/atom"
            exploded[i] = True
            continue
        place = reference.hull.distance(composition, energy)
        formation[i], above[i], competing[i] = energy, place.energy_above_hull, place.n_competing
        if not np.isfinite(place.energy_above_hull):
            unplaced(i, f"the reference lacks {', '.join(place.missing) or 'competing phases'}")
    placed = candidates.with_columns(
        {
            "status": status,
            "reason": reason,
            "energy_per_atom": np.where(exploded, np.nan, energies),
            "formation_energy": formation,
            "energy_above_hull": above,
            "n_competing_phases": competing,
        }
    )
    return placed.without_relaxed(exploded) if exploded.any() else placed


def describe_relaxed(candidates: Candidates, symprec: float) -> Candidates:
    """Candidates with the space group of relaxed crystals and the RMSD to them in Å.

    Arguments:
        candidates: Relaxed or not.
        symprec: Tolerance of space groups in Å.
    """
    where = candidates.has_relaxed
    if not where.any():
        return candidates
    rows = where.nonzero()[0].tolist()
    after = candidates.final[rows]
    groups = _groups(space_groups(after, symprec).numpy())
    moved = rmsd_to_relaxed(candidates.crystals[rows], after)
    found = {name: moved[name] for name in ("rmsd_to_relaxed", "rmsd_matched")}
    return candidates.with_columns({"relaxed_space_group": groups, **found}, where)


def find_types(
    candidates: Candidates, where: Flags, types: Prototypes, frameworks: StructureLibrary | None = None
) -> Candidates:
    """Candidates with the structure type of their final crystals.

    Arguments:
        candidates: Relaxed or not.
        where: Which are compared, shape (B,).
        types: Known structure types, the commonest first.
        frameworks: :func:`framework_library` of the types, which keeps its cells from call to call.
    """
    if not where.any():
        return candidates
    found = match_prototypes(candidates.final[where.nonzero()[0].tolist()], types, library=frameworks)
    return candidates.with_columns(
        {
            "has_prototype": found["has_prototype"],
            "prototype": found["prototype"],
            "prototype_name": found["prototype_name"],
            "prototype_rank": found["rank"],
        },
        where,
    )


def meets_request(candidates: Candidates, request: Conditions) -> Flags:
    """Which candidates have the elements, composition, size and space group that were asked for, shape (B,).

    Nothing is said of properties: one number is no window, and what guidance reaches is a matter of rates.
    """
    counts = count_table(candidates.crystals)
    meets = candidates.has_sites
    if request.chemical_system is not None:
        asked = np.zeros(counts.shape[1], bool)
        asked[list(request.chemical_system)] = True
        meets &= ~(counts[:, ~asked] > 0).any(1)
        if not request.allow_subsystems:
            meets &= (counts[:, asked] > 0).all(1)
    if request.composition is not None:
        unit = np.zeros(counts.shape[1], counts.dtype)
        unit[list(request.composition)] = list(request.composition.values())
        multiples = counts.sum(1) // unit.sum()
        meets &= (counts == multiples[:, None] * unit).all(1)
    if request.n_atoms is not None:
        meets &= np.asarray(candidates.column("n_atoms").between(*request.n_atoms).fillna(False), dtype=bool)
    if request.space_group is not None:
        groups = candidates.column("relaxed_space_group").fillna(candidates.column("space_group"))
        meets &= np.asarray(groups.eq(request.space_group).fillna(False), dtype=bool)
    return meets


def descriptors_of(settings: ScreenSettings) -> tuple[str, ...]:
    """Names of the descriptors that candidates get beside the columns that all of them have.

    What a funnel reads is computed even if it was not asked for by name.

    Raises:
        UserError: One is not a descriptor.
    """
    funnel: Funnel | None = funnel_of(settings)
    read = funnel.columns if funnel else ()
    asked = {*select(settings.descriptors), *read} - set(CANDIDATE_COLUMNS)
    return tuple(name for name in DESCRIPTORS if name in asked)


def _groups(numbers: np.ndarray) -> list[int | None]:
    """Numbers of space groups; None where none was found."""
    return [group or None for group in numbers.tolist()]
