"""Whether the tests tell good from bad: what is known must be known and stable, what is nonsense must fail.

Three sets are screened as they are, without relaxation, which would mend the last two: known structures that lie on the
reference's hull, known structures with their species dealt to the sites and cells of others, and atoms thrown into
boxes. A reference on another potential's scale, a potential that is blind, a matcher or a table of distances that says
yes to everything shows here. A reference that claims one scale is asked for it: every element at zero, and compounds
that every textbook has near its hull.
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
from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import reduced_formula
from nucleate.data.one_scale import missing_elements
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

N = 32
"""Crystals of each kind that are screened."""
N_NOVELTY = 200
"""Known structures that are looked for among the known structures."""
MAX_ATOMS = 12
"""In the cells of known structures, so that the check takes less than a minute."""
ON_HULL = 1e-6
"""eV/atom; a phase this near to the hull is one of its corners."""
NEAR = 0.02
"""eV/atom; textbook compounds are expected this near to the hull."""
TEXTBOOK = (
    "NaCl KCl LiF CsCl CsI NaI LiH NaH CaF2 MgF2 AlF3 AgCl AgBr MgO CaO SrO BaO NiO MnO CoO ZnO CdO TiO2 SiO2 Al2O3 "
    "Fe2O3 Cr2O3 ZrO2 HfO2 Y2O3 La2O3 CeO2 UO2 ThO2 WO3 MoO3 V2O5 Cu2O CuO Ag2O Li2O Na2O K2O GaN AlN BN InN Si3N4 "
    "Li3N Mg3N2 Ca3N2 GaAs GaP InP InAs InSb GaSb AlAs ZnS ZnSe CdS CdSe CdTe PbS PbSe PbTe SnTe FeS2 MoS2 WS2 Li2S "
    "Na2S TiC TiN SiC Fe3C Mg2Si FeSi2 MoSi2 CaSi2 Ni3Al NiAl TiAl Ti3Al FeAl FePt CoPt CuAu Cu3Au FeNi Nb3Sn MgB2 "
    "LaB6 SmCo5 Bi2Te3 Bi2Se3 Sb2Te3 CuInSe2 SrTiO3 BaTiO3 CaTiO3 LaAlO3 MgAl2O4 LiCoO2 LiFePO4 LiMn2O4 Li2MnO3 "
    "LiAlO2 Li3PO4 Mg2SiO4 CaCO3 MgCO3 BaSO4 CaWO4 ZrSiO4 LiNbO3 KNbO3 YBa2Cu3O7"
).split()
"""Compounds that exist at room temperature or are ground states beyond doubt; those a reference lacks do not count."""


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
    scale = one_scale(reference) if reference.element_corrections else ()
    return (*scale, _known(reference, settings), *_expectations(*parts))


def one_scale(reference: Reference) -> tuple[Check, Check]:
    """Whether every element of a reference is at zero, and textbook compounds lie within 20 meV/atom of its hull."""
    wrong = len(missing_elements(reference))
    elements = Rate("elements at zero", "all", len(reference.element_energies) - wrong, len(reference.element_energies))
    lowest: dict[str, float] = {}
    for count, energy in zip(reference.compositions, reference.phases["formation_energy"], strict=True):
        name = reduced_formula(count)
        lowest[name] = min(lowest.get(name, energy), energy)
    known = [(count, reduced_formula(count)) for count in map(parse_formula, TEXTBOOK)]
    found = [(count, lowest[name]) for count, name in known if name in lowest]
    near = sum(reference.hull.distance(count, energy).energy_above_hull <= NEAR for count, energy in found)
    compounds = Rate("textbook compounds within 20 meV/atom of the hull", "all", near, len(found))
    return Check(elements, 1.0, 1.0), Check(compounds, 0.95, 1.0)


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
