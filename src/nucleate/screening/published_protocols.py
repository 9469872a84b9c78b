"""The protocols that have a name: MatterGen's, PIGEN's, LeMat-GenBench's and WyFormer's, each with its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from nucleate.errors import UserError
from nucleate.matching.reduced_cells import MATCHERS, MatchSettings
from nucleate.screening.filters import Filter
from nucleate.screening.funnels import pigen
from nucleate.screening.protocols import LAX, Definition, Outcome, Share, published_rates, unmeasured

if TYPE_CHECKING:
    from nucleate.runs.record import StatedProtocol


def find_protocol(name: str) -> Definition:
    """The definition of that name.

    Raises:
        UserError: There is none.
    """
    if name not in PROTOCOLS:
        raise UserError("--protocol", repr(name), f"one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]()


def outcome(stated: StatedProtocol, candidates: pd.DataFrame) -> Outcome | None:
    """The rates of the protocol that a run follows.

    Arguments:
        stated: What the run's record says of its protocol.
        candidates: Its candidates.

    Returns:
        None where the run follows none.

    Raises:
        UserError: It follows one that is not known here.
    """
    if stated.follows is None:
        return None
    definition = find_protocol(stated.follows)
    lines = (*(stated.deviations or ()), *unmeasured(definition, candidates))
    return Outcome(definition, published_rates(definition, candidates), lines)


def _rules(*conditions: str) -> tuple[Filter, ...]:
    return tuple(Filter.parse(condition, condition) for condition in conditions)


def _share(name: str, *conditions: str, among: tuple[str, ...] = ()) -> Share:
    return Share(name, _rules(*conditions), _rules(*among))


_UNIQUE, _NOVEL, _VALID = "is_unique = true", "is_novel = true", "is_valid = true"
_APART = f"{LAX} = true"


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
            _share("structure valid (d > 0.5 Å)", _APART),
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
            _share("A' d > 0.5 Å", _APART),
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
            _share("structure valid (d > 0.5 Å)", _APART, among=(_UNIQUE, _NOVEL)),
            _share(
                "S.U.N.", "energy_above_hull <= 0.08", _UNIQUE, _NOVEL, _APART, among=("energy_above_hull is known",)
            ),
            _share(
                "S.S.U.N. (not P1)",
                "energy_above_hull <= 0.08",
                "relaxed_space_group > 1",
                _UNIQUE,
                _NOVEL,
                _APART,
                among=("energy_above_hull is known",),
            ),
            _share("P1", "relaxed_space_group = 1", among=(_UNIQUE, _NOVEL, _APART, "relaxed_space_group is known")),
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
