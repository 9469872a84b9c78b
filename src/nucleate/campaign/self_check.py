"""Whether the tests tell good from bad: what is known must be known and stable, what is nonsense must fail.

Three sets are screened as they are, without relaxation, which would mend the last two: known structures that lie on the
reference's hull, known structures with their species dealt to the sites and cells of others, and atoms thrown into
boxes. A reference on another potential's scale, a potential that is blind, a matcher or a table of distances that says
yes to everything shows here.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import JsonValue

from nucleate.campaign.screen import screen
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.descriptors.spp import shipped_table
from nucleate.errors import UserError
from nucleate.execution.executor import Progress, silent
from nucleate.families.registry import load_generator
from nucleate.intervals import Rate
from nucleate.matching.library import StructureLibrary, novelty
from nucleate.screening.protocols import matcher_of
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.data.reference import Reference

N = 32
"""Crystals of each kind that are screened."""
N_NOVELTY = 200
"""Known structures that are looked for among the known structures."""
MAX_ATOMS = 12
"""In the cells of known structures, so that the check takes less than a minute."""
ON_HULL = 1e-6
"""eV/atom; a phase this near to the hull is one of its corners."""


@dataclass(frozen=True)
class Check:
    """One expectation.

    Attributes:
        rate: What was found.
        low: Smallest share that is as it should be.
        high: Largest.
    """

    rate: Rate
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the share is as it should be; of nothing it is not."""
        return bool(self.rate.total) and self.low <= self.rate.value <= self.high

    @property
    def expected(self) -> str:
        """The expectation in words."""
        if self.low == self.high:
            return f"exactly {self.low:.0%}"
        return f"at least {self.low:.0%}" if self.low > 0 else f"at most {self.high:.0%}"

    def __str__(self) -> str:
        return f"{'ok    ' if self.passed else 'FAILED'}  {self.rate.name}: {self.rate}, expected {self.expected}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values for JSON; a share of nothing is None."""
        low, high = self.rate.interval
        return {
            "name": self.rate.name,
            "passed": self.passed,
            "value": self.rate.value if self.rate.total else None,
            "low": low,
            "high": high,
            "count": self.rate.count,
            "total": self.rate.total,
            "expected": [self.low, self.high],
        }


def self_check(
    settings: ScreenSettings, n: int = N, workers: int | None = None, progress: Progress = silent
) -> tuple[Check, ...]:
    """Screen what is known and what is nonsense.

    Arguments:
        settings: Potential, reference, thresholds and matcher that are checked.
        n: Crystals of each kind.
        workers: Worker processes.
        progress: Called with how many are through.

    Raises:
        UserError: The reference holds no structures, or none on its hull.
    """
    reference = Reference.load(settings.reference)
    stable = on_hull(reference, n, settings.seed)
    randoms = load_generator("pseudo-random", "cpu").sample(n, Conditions(), settings.seed)
    batch = Crystals.concatenate([stable, shuffled(reference, n, settings.seed), randoms])
    plain = {"descriptors": "proxy_potential", "funnel": "none", "thresholds": ()}
    asked = settings.without_relaxation().model_copy(update=plain)
    with tempfile.TemporaryDirectory(prefix="nucleate-") as folder:
        table = screen(batch, asked, Path(folder) / "run", workers=workers, progress=progress).candidates()
    parts = (table[: len(stable)], table[len(stable) : -n], table[-n:])
    return (_known(reference, settings), *_expectations(*parts))


def on_hull(reference: Reference, n: int, seed: int = 0) -> Crystals:
    """At most ``n`` known structures of two or more elements that lie on the reference's hull.

    Raises:
        UserError: There are none.
    """
    energies = dict(zip(reference.phases["id"], reference.phases["formation_energy"], strict=True))
    compositions = dict(zip(reference.phases["id"], reference.compositions, strict=True))
    rows = []
    for row in _drawn(len(reference.structures), seed):
        name = reference.structure_ids[row]
        if name not in energies or len(compositions[name]) < 2 or reference.structures.n_atoms[row] > MAX_ATOMS:
            continue
        distance = reference.hull.distance(compositions[name], energies[name]).energy_above_hull
        if distance <= ON_HULL:
            rows.append(row)
        if len(rows) == n:
            break
    if not rows:
        raise UserError(f"reference {reference.name}", "no known structure on its hull", "structures to check with")
    return reference.structures[rows]


def shuffled(reference: Reference, n: int, seed: int = 0) -> Crystals:
    """At most ``n`` crystals with the species of one known structure on the sites and in the cell of another."""
    sizes = reference.structures.n_atoms
    found: list[Crystals] = []
    waiting: dict[int, int] = {}
    for row in _drawn(len(sizes), seed + 1):
        size = int(sizes[row])
        if not 2 <= size <= MAX_ATOMS:
            continue
        if size not in waiting:
            waiting[size] = row
            continue
        here, there = reference.structures[[waiting.pop(size)]], reference.structures[[row]]
        order = torch.randperm(size, generator=torch.Generator().manual_seed(row))
        numbers = torch.zeros_like(here.numbers)
        numbers[:, :size] = here.numbers[:, :size][:, order]
        found.append(Crystals(numbers, there.frac, there.lattice, there.n_atoms))
        if len(found) == n:
            break
    return Crystals.concatenate(found) if found else reference.structures[[]]


def _known(reference: Reference, settings: ScreenSettings) -> Check:
    """The reference against itself."""
    rows = _drawn(len(reference.structures), settings.seed)[:N_NOVELTY]
    library = StructureLibrary.of(reference.structures, matcher_of(settings))
    new = novelty(reference.structures[rows], library)["is_novel"].fillna(True)
    return Check(Rate("known structures called novel", "all", int(new.sum()), len(rows)), 0.0, 0.0)


def _expectations(stable: pd.DataFrame, mixed: pd.DataFrame, randoms: pd.DataFrame) -> tuple[Check, ...]:
    usual = shipped_table().thresholds["all"]

    def low(table: pd.DataFrame, name: str) -> Rate:
        count = int((table["proxy_potential"] <= usual).sum())
        return Rate(f"{name} with usual distances (SPP)", "all", count, len(table))

    def near(table: pd.DataFrame, name: str) -> Rate:
        count = int(table["is_stable"].eq(True).fillna(False).sum())
        return Rate(f"{name} called stable", "all", count, len(table))

    return (
        Check(low(stable, "phases on the hull"), 0.75, 1.0),
        Check(near(stable, "phases on the hull"), 0.75, 1.0),
        Check(low(mixed, "shuffled crystals"), 0.0, 0.5),
        Check(near(mixed, "shuffled crystals"), 0.0, 0.1),
        Check(low(randoms, "random crystals"), 0.0, 0.25),
        Check(near(randoms, "random crystals"), 0.0, 0.1),
    )


def _drawn(size: int, seed: int) -> list[int]:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
