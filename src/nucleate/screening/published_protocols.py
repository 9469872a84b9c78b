"""Published protocols as data: what MatterGen, PIGEN, LeMat-GenBench and WyFormer count as which rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from pydantic import JsonValue

from nucleate.descriptors.geometry import validity
from nucleate.descriptors.registry import CHEAP, DESCRIPTORS
from nucleate.errors import UserError
from nucleate.intervals import NAME_WIDTH, Rate
from nucleate.matching.reduced_cells import MATCHERS, SAME_STRUCTURE, MatchSettings
from nucleate.runs.candidates import table_crystals
from nucleate.screening.filters import PASSES, Filter
from nucleate.screening.funnels import pigen

LAX = "is_valid_lax"
"""Column of "every distance over 0.5 Å, volume at least 0.1 Å³"; made from the structures where a rate asks for it."""


@dataclass(frozen=True)
class Share:
    """A rate of a definition.

    Attributes:
        name: What the source calls it.
        holds: All of these must pass.
        among: Which crystals are counted (the denominator); every one of the run if empty.
    """

    name: str
    holds: tuple[Filter, ...]
    among: tuple[Filter, ...] = ()

    @property
    def words(self) -> str:
        """The condition and the denominator in words."""
        text = " and ".join(rule.keep for rule in self.holds)
        return text + (f"; among those with {' and '.join(rule.keep for rule in self.among)}" if self.among else "")


@dataclass(frozen=True)
class Definition:
    """A published protocol.

    Attributes:
        name: What the command line calls it.
        title: The work in a few words.
        source: Where the definitions are written.
        works: Keys of the works to cite.
        rates: What is counted.
        stable_within: eV/atom above the hull, of the rate called stable.
        relaxed: Energies, uniqueness and novelty are those of the relaxed structure, not of the one submitted.
        matcher: Tolerances and variant of uniqueness and novelty.
        symprec: Tolerance of space groups in Å.
        descriptors: Columns that the rates read beside those of every run.
        potential: Where the energies come from, as the source has it.
        potentials: Parts of names of potentials that are the same one.
        relaxation: How structures are relaxed there.
        reference: Hull and known structures there.
        references: Parts of names of references that are the same one.
        samples: How many structures are asked for; None where it does not matter.
        notes: Departures of Nucleate whatever the settings.
    """

    name: str
    title: str
    source: str
    works: tuple[str, ...]
    rates: tuple[Share, ...]
    stable_within: float
    potential: str
    relaxation: str
    reference: str
    relaxed: bool = True
    matcher: MatchSettings = SAME_STRUCTURE
    symprec: float = 0.1
    descriptors: tuple[str, ...] = ()
    potentials: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    samples: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """Fields of ``ScreenSettings`` that this protocol fixes unless the user says otherwise."""
        names = [name for name in DESCRIPTORS if name in {*CHEAP, *self.descriptors}]
        return {"stable_within": self.stable_within, "symprec": self.symprec, "descriptors": ",".join(names)}


@dataclass(frozen=True)
class Outcome:
    """A run under a published protocol.

    Attributes:
        definition: What was repeated.
        rates: Its rates.
        deviations: A line for each departure from it.
    """

    definition: Definition
    rates: tuple[Rate, ...]
    deviations: tuple[str, ...]

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values for JSON; a share of nothing is None."""
        words = {share.name: share.words for share in self.definition.rates}
        rates: list[JsonValue] = [
            {
                "name": rate.name,
                "definition": words[rate.name],
                "value": rate.value if rate.total else None,
                "low": rate.interval[0],
                "high": rate.interval[1],
                "count": rate.count,
                "total": rate.total,
            }
            for rate in self.rates
        ]
        return {
            "name": self.definition.name,
            "title": self.definition.title,
            "source": self.definition.source,
            "rates": rates,
            "deviations": list(self.deviations),
        }

    def __str__(self) -> str:
        lines = [f"as {self.definition.title} counts ({self.definition.source}):"]
        lines += [f"{rate.name:>{NAME_WIDTH}}  {rate}" for rate in self.rates]
        lines += ["departures from it:", *(f"  - {line}" for line in self.deviations)]
        return "\n".join(lines)


def published_rates(definition: Definition, candidates: pd.DataFrame) -> tuple[Rate, ...]:
    """The rates of a definition, counted over the candidates of a run; unknown counts as no.

    A rate whose columns are not in the table is left out; :func:`unmeasured` names it.
    """
    table = _completed(candidates, definition.rates)
    rates = []
    for share in definition.rates:
        if _lacking(share, table):
            continue
        among = _all_pass(share.among, table)
        rates.append(Rate(share.name, "all", int((among & _all_pass(share.holds, table)).sum()), int(among.sum())))
    return tuple(rates)


def unmeasured(definition: Definition, candidates: pd.DataFrame) -> tuple[str, ...]:
    """A line for each rate of a definition that the candidates have no columns for."""
    table = _completed(candidates, definition.rates)
    return tuple(
        f"{share.name}: not measured, {', '.join(lacking)} was not computed"
        for share in definition.rates
        if (lacking := _lacking(share, table))
    )


def _all_pass(rules: Iterable[Filter], table: pd.DataFrame) -> np.ndarray:
    return np.logical_and.reduce([np.ones(len(table), bool), *(rule.verdicts(table) == PASSES for rule in rules)])


def _lacking(share: Share, table: pd.DataFrame) -> list[str]:
    return sorted({rule.column for rule in (*share.holds, *share.among)} - set(table))


def _completed(candidates: pd.DataFrame, rates: Iterable[Share]) -> pd.DataFrame:
    """The table with the lax validity of older works, where a rate asks for it and there are structures."""
    asked = any(rule.column == LAX for share in rates for rule in (*share.holds, *share.among))
    if not asked or LAX in candidates or not {"numbers", "frac", "lattice"} <= set(candidates):
        return candidates
    return candidates.assign(**{LAX: validity(table_crystals(candidates)).is_valid_lax.numpy()})


def find_protocol(name: str) -> Definition:
    """The definition of that name.

    Raises:
        UserError: There is none.
    """
    if name not in PROTOCOLS:
        raise UserError("--protocol", repr(name), f"one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]()


def _rules(*conditions: str) -> tuple[Filter, ...]:
    return tuple(Filter.parse(condition, condition) for condition in conditions)


def _share(name: str, *conditions: str, among: tuple[str, ...] = ()) -> Share:
    return Share(name, _rules(*conditions), _rules(*among))


_UNIQUE, _NOVEL, _VALID = "is_unique = true", "is_novel = true", "is_valid = true"
_LAX = f"{LAX} = true"


def _mattergen() -> Definition:
    return Definition(
        name="mattergen",
        title="MatterGen",
        source="A generative model for inorganic materials design (Zeni et al., 2025), Section 2.2 and Supplement "
        "D.3.1, and its public evaluation",
        works=("mattergen",),
        rates=(
            _share("stable", "energy_above_hull <= 0.1"),
            _share("unique", _UNIQUE),
            _share("novel", _NOVEL),
            _share("S.U.N.", "energy_above_hull <= 0.1", _UNIQUE, _NOVEL),
            _share("below the hull", "energy_above_hull <= 0"),
            _share("structure valid (d > 0.5 Å)", _LAX),
        ),
        stable_within=0.1,
        potential="DFT (PBE, MP2020 corrections); its public evaluation offers MatterSim-v1-1M",
        potentials=("mattersim",),
        relaxation="DFT relaxation; in its public evaluation FIRE with an exponential cell filter",
        reference="the hull and the structures of Alexandria and Materials Project (845,997 published) with the ICSD "
        "(1,081,850 in the paper)",
        references=("alex-mp", "alex_mp"),
        matcher=MATCHERS["disordered"],
        notes=(
            "pairs: all structures of one reduced formula are compared; the paper asks for the same space group too",
        ),
    )


def _pigen() -> Definition:
    """Filters A to E of its funnel, each alone and in sequence."""
    spp, formula, compactness, m_led, hull = pigen().filters[:5]
    screened = (spp, formula, compactness, m_led)
    return Definition(
        name="pigen",
        title="PIGEN",
        source="Physics-informed diffusion models for extrapolating crystal structures beyond known motifs "
        "(Vasylenko et al.), Fig. 4, Table 1 and Extended Data Tables 1 and 2",
        works=("pigen", "proxy_potentials"),
        rates=(
            _share("A' d > 0.5 Å", _LAX),
            Share("A usual distances", (spp,)),
            Share("B new formula", (formula,)),
            Share("C compactness", (compactness,)),
            Share("D local environments", (m_led,)),
            _share("K > 3.9", "complexity > 3.9"),
            Share("A & B & C & D", screened),
            *(
                Share(f"A to D, and E: under {1000 * level:g} meV/atom", (*screened, replace(hull, threshold=level)))
                for level in (0.1, 0.05, 0.035, 0.025)
            ),
        ),
        stable_within=0.05,
        potential="CHGNet for the relaxation, then a single point of VASP (PBE, 600 eV) for the energy",
        relaxation="a relaxation with CHGNet",
        reference="the training set (Alex-MP-20) for new formulas, the Materials Project's phases with DFT energies "
        "for the hull",
        descriptors=("proxy_potential", "compactness", "local_environment_diversity", "complexity"),
        notes=(
            "A: potentials derived from Materials Project structures, every periodic image counted, and the 95th "
            "percentile of that set, instead of potentials from the ICSD, the shortest image and 0.362",
            "B: a reduced formula is new if no phase or structure of the reference has it, since the set that the "
            "generator was trained on is not known here",
            "undefined values count as no; the public code leaves them out of the denominator",
        ),
    )


def _lemat() -> Definition:
    return Definition(
        name="lemat",
        title="LeMat-GenBench",
        source="LeMat-GenBench: A Unified Evaluation Framework for Crystal Generative Models (Betala et al., 2025), "
        "arXiv:2512.04562, and its configuration comprehensive_multi_mlip_hull",
        works=("lemat_genbench",),
        rates=(
            _share("valid", _VALID, "charge_balance = 1"),
            _share("unique", _VALID, "charge_balance = 1", _UNIQUE),
            _share("novel", _VALID, "charge_balance = 1", _NOVEL),
            _share("stable", _VALID, "charge_balance = 1", "energy_above_hull <= 0"),
            _share("metastable", _VALID, "charge_balance = 1", "energy_above_hull > 0", "energy_above_hull <= 0.1"),
            _share("SUN", _VALID, "charge_balance = 1", _UNIQUE, _NOVEL, "energy_above_hull <= 0"),
            _share(
                "MSUN",
                _VALID,
                "charge_balance = 1",
                _UNIQUE,
                _NOVEL,
                "energy_above_hull > 0",
                "energy_above_hull <= 0.1",
            ),
        ),
        stable_within=0.0,
        potential="the mean of ORB-v3, MACE-MP and UMA, each on its own hull, at least two of them",
        relaxation="none for the energies (50 steps to 0.02 eV/Å for the RMSD alone)",
        reference="LeMat-Bulk (compatible PBE)",
        references=("lemat",),
        relaxed=False,
        matcher=MatchSettings(ltol=0.1, stol=0.3, angle_tol=5.0),
        descriptors=("charge_balance",),
        samples=2500,
        notes=(
            "validity: distances and densities with its bounds; charge by whole oxidation states, alloys pass; its "
            "checks of the file format and of the symmetry search are not made",
            "RMSD to the relaxed structure, diversity and embedding distances are not measured",
        ),
    )


def _wyformer() -> Definition:
    return Definition(
        name="wyformer",
        title="Wyckoff Transformer",
        source="Wyckoff Transformer: Generation of Symmetric Crystals (Kazeev et al., 2025), arXiv:2503.02407, and its "
        "public notebook of the MP-20 evaluation",
        works=("wyformer",),
        rates=(
            _share("unique", _UNIQUE),
            _share("novel", _NOVEL, among=(_UNIQUE,)),
            _share("structure valid (d > 0.5 Å)", _LAX, among=(_UNIQUE, _NOVEL)),
            _share(
                "S.U.N.",
                "energy_above_hull <= 0.08",
                _UNIQUE,
                _NOVEL,
                _LAX,
                among=("energy_above_hull is known",),
            ),
            _share(
                "S.S.U.N. (not P1)",
                "energy_above_hull <= 0.08",
                "relaxed_space_group > 1",
                _UNIQUE,
                _NOVEL,
                _LAX,
                among=("energy_above_hull is known",),
            ),
            _share("P1", "relaxed_space_group = 1", among=(_UNIQUE, _NOVEL, _LAX, "relaxed_space_group is known")),
        ),
        stable_within=0.08,
        potential="CHGNet",
        potentials=("chgnet",),
        relaxation="CHGNet with the space group held",
        reference="the training and validation part of MP-20 for novelty, the Materials Project's hull with corrected "
        "CHGNet energies",
        references=("mp-20", "mp20", "mp_20"),
        notes=("matcher: asked for every pair of one reduced formula, not only for those of one Wyckoff fingerprint",),
    )


PROTOCOLS: Mapping[str, Callable[[], Definition]] = MappingProxyType(
    {"mattergen": _mattergen, "pigen": _pigen, "lemat": _lemat, "wyformer": _wyformer}
)
"""Definitions by name."""
