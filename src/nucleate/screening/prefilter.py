"""Before any relaxation: which crystals of a generator are kept, and which candidates are left out.

By energy: one evaluation of the potential costs a fiftieth of a relaxation and says, for crystals that come near their
relaxed structure, most of what the relaxation would: the rank correlation of both distances to the hull is 0.65 for
`pigen-mp` and 0.63 for `wyckoffdiff-mp`. It says little for generators that leave the geometry to the relaxation
(`random` 0.17).

By protostructure: space group and elements on Wyckoff positions are known before any energy, so that relaxations can go
to new ones (F. E. Kelvinius et al., WyckoffDiff, arXiv:2502.06485). They say nothing of free coordinates: crystals of
one label may be different. In P1 they say nothing at all, so crystals there are never left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, isnan, nan
from typing import TYPE_CHECKING

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions
from nucleate.errors import Status, UserError
from nucleate.matching.library import StructureLibrary
from nucleate.potentials.potential import evaluate_with_fallback
from nucleate.potentials.registry import load_potential, scale_of
from nucleate.relaxation.relaxer import Relaxed, fault_of
from nucleate.runs.candidates import Candidates
from nucleate.runs.run import Run
from nucleate.screening.evaluator import LOWEST_FORMATION_ENERGY
from nucleate.screening.reference_profile import known_labels
from nucleate.symmetry.protostructure import protostructures

if TYPE_CHECKING:
    from nucleate.conditions.request import Conditions
    from nucleate.data.reference import Reference
    from nucleate.families.registry import Generator
    from nucleate.potentials.potential import Potential
    from nucleate.settings import ScreenSettings

MOST_DRAWS = 10
"""Crystals drawn for each that is wanted, at most."""
FEWEST, MOST = 8, 256
"""Crystals drawn at once: many, since generators batch those of equal size, but news should come now and then."""
TOGETHER = 16
"""Crystals in one call of the potential."""
EnergiesAboveHull = Callable[[Crystals], list[float]]
"""From crystals as generated to their energies above the hull in eV/atom."""


@dataclass(frozen=True)
class Drawn:
    """Crystals that were kept, the number of each in the generator's stream, and where the stream stands now."""

    crystals: Crystals
    numbers: list[int]
    stop: int


def energies_above_hull(reference: Reference, settings: ScreenSettings) -> EnergiesAboveHull:
    """A function that places crystals on the hull as generated, in eV/atom.

    Its answer is infinite for a crystal that cannot be evaluated, and NaN where the reference lacks an element.

    Raises:
        UserError: The reference is on the scale of another potential.
    """
    scale = scale_of(settings.potential)
    if not reference.is_on_scale(scale):
        raise UserError("--draw-below", f"a reference on the scale of {reference.scale}", f"one on that of {scale}")
    potential = load_potential(settings.potential, settings.python)

    def above_hull(crystal: Crystals, energy: float) -> float:
        if energy == inf:
            return inf
        composition = compositions(crystal)[0]
        formation = reference.formation_energy(composition, energy)
        if formation < LOWEST_FORMATION_ENERGY:
            return inf
        return nan if isnan(formation) else reference.hull.distance(composition, formation).energy_above_hull

    def all_above_hull(crystals: Crystals) -> list[float]:
        sound = [i for i in range(len(crystals)) if fault_of(*(x.numpy() for x in crystals.sites(i)[1:])) is None]
        found = [inf] * len(crystals)
        for first in range(0, len(sound), TOGETHER):
            rows = sound[first : first + TOGETHER]
            for i, energy in zip(rows, energies_per_atom(crystals[rows], potential), strict=True):
                found[i] = above_hull(crystals[i : i + 1], energy)
        return found

    return all_above_hull


def energies_per_atom(crystals: Crystals, potential: Potential) -> list[float]:
    """eV/atom of crystals in one call; infinite for one that the potential fails on, or does not know an element of."""

    def energies(some: Crystals) -> list[float]:
        found: list[float] = (potential.evaluate(some).energy / some.n_atoms).tolist()
        return found

    return [inf if isnan(energy) else energy for energy in evaluate_with_fallback(crystals, energies, inf)]


@dataclass(frozen=True)
class EnergyPrefilter:
    """Keeps crystals of a generator's stream that lie low as generated and are the same as none kept before.

    Attributes:
        limit: Largest energy above the hull as generated, in eV/atom.
        above_hull: Places crystals on the hull.
        earlier: Crystals that were kept before.
    """

    limit: float
    above_hull: EnergiesAboveHull
    earlier: StructureLibrary

    def draw(
        self,
        generator: Generator,
        request: Conditions,
        n: int,
        seed: int,
        start: int,
        progress: Callable[[int], None],
    ) -> Drawn:
        """The first n crystals of the stream, from number ``start`` on, that are kept, in the order of the stream.

        One whose place is not known (NaN) counts as low. One that is the same as another before it, in the stream or
        in ``earlier``, is passed over. After ``MOST_DRAWS`` crystals for each that is wanted, the lowest of the others
        fill up what is missing, repeats last. How many are drawn at once depends on nothing but what came before.
        """
        parts: list[Crystals] = []
        found: list[float] = []
        good: list[int] = []
        repeats: set[int] = set()
        fresh = StructureLibrary(self.earlier.settings)
        while len(good) < n and len(found) < MOST_DRAWS * n:
            rate = max(len(good) / len(found) if found else 1.0, 1 / MOST_DRAWS)
            wanted = min(max(ceil((n - len(good)) / rate), FEWEST), MOST)
            some = generator.sample(min(wanted, MOST_DRAWS * n - len(found)), request, seed, start + len(found))
            parts.append(some)
            first, energies = len(found), self.above_hull(some)
            found += energies
            low = [i for i, energy in enumerate(energies) if not energy > self.limit]
            for i, *matches in zip(low, self.earlier.find_all(some[low]), fresh.take(some[low]), strict=True):
                if any(match.is_known for match in matches):
                    repeats.add(first + i)
                else:
                    good.append(first + i)
            progress(min(len(good), n))
        taken = good[:n]
        others = (i for i, energy in enumerate(found) if energy > self.limit or i in repeats)
        rest = sorted(others, key=lambda i: (i in repeats, found[i]))
        taken = sorted([*taken, *rest[: n - len(taken)]])
        return Drawn(Crystals.concatenate(parts)[taken], [start + i for i in taken], start + len(found))


def left_out(run: Run, settings: ScreenSettings, reference: Reference) -> list[dict[int, Relaxed]]:
    """For each chunk of a run the outcomes, by row, of candidates that are not to be relaxed.

    With ``labels`` "distinct" those whose label an earlier candidate of the run has; with "new" those also whose label
    the reference has.
    """
    if settings.labels == "all":
        return [{} for _ in run.chunks]
    known = reference_labels(reference, settings.reference) if settings.labels == "new" else set()
    first: dict[str, str] = {}
    outcomes: list[dict[int, Relaxed]] = []
    for number in range(len(run.chunks)):
        generated = Candidates.from_parquet(run.generated_path(number))
        rows = generated.has_status((Status.OK,)).nonzero()[0].tolist()
        sound = generated[rows]
        chunk: dict[int, Relaxed] = {}
        for k, one in enumerate(protostructures(sound.crystals, settings.symprec)):
            if one is None or one.space_group == 1:
                continue
            numbers, frac, lattice = (part.numpy() for part in sound.crystals.sites(k))
            if one.label in known:
                reason = f"the reference has {one.label}"
                chunk[rows[k]] = Relaxed(Status.KNOWN, reason, numbers, frac, lattice)
            elif one.label in first:
                reason = f"{one.label}, as {first[one.label]}"
                chunk[rows[k]] = Relaxed(Status.REPEATED, reason, numbers, frac, lattice)
            else:
                first[one.label] = sound.ids[k]
        outcomes.append(chunk)
    return outcomes


def reference_labels(reference: Reference, name: str) -> set[str]:
    """Labels of all phases and known structures; a phase need not have a structure, nor a structure be a phase."""
    of_phases = reference.phases["label"].dropna() if "label" in reference.phases else ()
    return {*of_phases, *known_labels(reference, name)}
