"""Protocols by name: how others count, as data, and where a run departs from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nucleate.descriptors.registry import CHEAP, DESCRIPTORS
from nucleate.intervals import NAME_WIDTH, Rate
from nucleate.matching.reduced_cells import SAME_STRUCTURE, MatchSettings
from nucleate.screening.filters import PASSES, Filter
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.runs.record import StatedProtocol
    from nucleate.runs.run import Run

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
        """Fields of ``config.ScreenSettings`` that this protocol fixes unless the user says otherwise."""
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a share of nothing is None."""
        words = {share.name: share.words for share in self.definition.rates}
        rates = [
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


def deviations(
    definition: Definition,
    *,
    potential: str,
    reference: str,
    relaxation: str,
    relaxed: bool,
    matcher: MatchSettings,
    symprec: float,
    n: int,
) -> tuple[str, ...]:
    """A line for each point in which a run departs from a definition.

    Arguments:
        definition: What is to be repeated.
        potential: Name of the run's potential.
        reference: Name of its reference, with its size.
        relaxation: Its relaxation in words.
        relaxed: Whether it relaxes at all.
        matcher: Its tolerances and variant of uniqueness and novelty.
        symprec: Its tolerance of space groups in Å.
        n: Its number of crystals.
    """
    lines = []
    if not _same(potential, definition.potentials):
        lines.append(f"potential: here {potential}; there {definition.potential}")
    if relaxed != definition.relaxed:
        states = {True: "those relaxed", False: "those given"}
        lines.append(f"structures: here {states[relaxed]}; there {states[definition.relaxed]}")
    if relaxed or definition.relaxed:
        lines.append(f"relaxation: here {relaxation}; there {definition.relaxation}")
    if not _same(reference, definition.references):
        lines.append(f"reference: here {reference}; there {definition.reference}")
    if matcher != definition.matcher:
        lines.append(f"matcher: here {matcher}; there {definition.matcher}")
    if symprec != definition.symprec:
        lines.append(f"space groups: tolerance here {symprec:g} Å; there {definition.symprec:g} Å")
    if definition.samples is not None and n != definition.samples:
        lines.append(f"samples: here {n:,}; there {definition.samples:,}, and uniqueness falls with their number")
    return (*lines, *definition.notes)


def _all_pass(rules: Iterable[Filter], table: pd.DataFrame) -> np.ndarray:
    return np.logical_and.reduce([np.ones(len(table), bool), *(rule.verdicts(table) == PASSES for rule in rules)])


def _lacking(share: Share, table: pd.DataFrame) -> list[str]:
    return sorted({rule.column for rule in (*share.holds, *share.among)} - set(table))


def _completed(candidates: pd.DataFrame, rates: Iterable[Share]) -> pd.DataFrame:
    """The table with the lax validity of older works, where a rate asks for it and there are structures."""
    asked = any(rule.column == LAX for share in rates for rule in (*share.holds, *share.among))
    if not asked or LAX in candidates or not {"numbers", "frac", "lattice"} <= set(candidates):
        return candidates
    from nucleate.descriptors.geometry import validity
    from nucleate.runs.candidates import table_crystals

    return candidates.assign(**{LAX: validity(table_crystals(candidates)).is_valid_lax.numpy()})


def _same(found: str, names: tuple[str, ...]) -> bool:
    return any(name in found.lower() for name in names)


def screen_settings(given: Mapping[str, Any], relax: bool | None = None) -> ScreenSettings:
    """Settings from what the user gave; what he left open is the protocol's, or else the default.

    Arguments:
        given: Fields of ``ScreenSettings``; None is left open.
        relax: Whether structures are relaxed; by default as the protocol has it, and without one they are.

    Raises:
        UserError: There is no such protocol, or a value does not fit.
    """
    from nucleate.screening.published_protocols import find_protocol

    said = {name: value for name, value in given.items() if value is not None}
    name = said.get("protocol", "none")
    definition = None if name == "none" else find_protocol(name)
    settings = ScreenSettings.checked({**(definition.settings if definition else {}), **said})
    if relax is None:
        relax = definition is None or definition.relaxed or bool(said.keys() & {"fmax", "max_steps"})
    return settings if relax else settings.without_relaxation()


def asked_protocol(settings: ScreenSettings) -> Definition | None:
    """The protocol that was asked for; None without one.

    Raises:
        UserError: There is no such protocol.
    """
    from nucleate.screening.published_protocols import find_protocol

    return None if settings.protocol == "none" else find_protocol(settings.protocol)


def asked_matcher(settings: ScreenSettings) -> MatchSettings:
    """When two crystals are the same one: the protocol's tolerances, or the usual ones, and the variant asked for."""
    from nucleate.matching.reduced_cells import SAME_STRUCTURE

    definition = asked_protocol(settings)
    matcher = SAME_STRUCTURE if definition is None else definition.matcher
    return matcher if settings.matcher is None else replace(matcher, variant=settings.matcher)


def stated_protocol(settings: ScreenSettings, potential: str, reference: str, n: int) -> StatedProtocol:
    """How ``n`` candidates are screened, in words, and where that departs from a protocol that is followed.

    Arguments:
        settings: How they are screened.
        potential: In words.
        reference: In words.
        n: Number of candidates.
    """
    from nucleate.runs.record import StatedProtocol

    matcher, definition = asked_matcher(settings), asked_protocol(settings)
    stated = StatedProtocol(
        potential=potential,
        reference=reference,
        relaxation=settings.relaxation,
        matcher=str(matcher),
        symprec=settings.symprec,
        candidates_relaxed=settings.labels,
        stability_threshold=settings.stable_within,
        denominator="all candidates of the run",
    )
    if definition is None:
        return stated
    lines = deviations(
        definition,
        potential=potential,
        reference=reference,
        relaxation=settings.relaxation,
        relaxed=settings.fmax < inf,
        matcher=matcher,
        symprec=settings.symprec,
        n=n,
    )
    followed = {"follows": definition.name, "source": definition.source, "deviations": tuple(lines)}
    return stated.model_copy(update=followed)


def run_outcome(run: Run) -> Outcome | None:
    """The rates of the protocol that a run follows; None where it follows none."""
    from nucleate.screening.published_protocols import outcome

    return outcome(run.record.protocol, run.candidates())
