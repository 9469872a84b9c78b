"""The protocol that a run follows: its settings, its rates, and where the run departs from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import pandas as pd

from nucleate.matching.reduced_cells import SAME_STRUCTURE, MatchSettings
from nucleate.runs.record import StatedProtocol
from nucleate.runs.run import Run
from nucleate.screening.published_protocols import Definition, Outcome, find_protocol, published_rates, unmeasured
from nucleate.settings import ScreenSettings


@dataclass(frozen=True)
class Practice:
    """How a run is made, as far as a protocol has a say in it.

    Attributes:
        potential: Name of the potential.
        reference: Name of the reference, with its size.
        relaxation: In words.
        relaxed: Whether structures are relaxed at all.
        matcher: Tolerances and variant of uniqueness and novelty.
        symprec: Tolerance of space groups in Å.
        n: Number of crystals.
    """

    potential: str
    reference: str
    relaxation: str
    relaxed: bool
    matcher: MatchSettings
    symprec: float
    n: int


def deviations(definition: Definition, here: Practice) -> tuple[str, ...]:
    """A line for each point in which a run departs from a definition."""
    lines = []
    if not _same(here.potential, definition.potentials):
        lines.append(f"potential: here {here.potential}; there {definition.potential}")
    if here.relaxed != definition.relaxed:
        states = {True: "those relaxed", False: "those given"}
        lines.append(f"structures: here {states[here.relaxed]}; there {states[definition.relaxed]}")
    if here.relaxed or definition.relaxed:
        lines.append(f"relaxation: here {here.relaxation}; there {definition.relaxation}")
    if not _same(here.reference, definition.references):
        lines.append(f"reference: here {here.reference}; there {definition.reference}")
    if here.matcher != definition.matcher:
        lines.append(f"matcher: here {here.matcher}; there {definition.matcher}")
    if here.symprec != definition.symprec:
        lines.append(f"space groups: tolerance here {here.symprec:g} Å; there {definition.symprec:g} Å")
    if definition.samples is not None and here.n != definition.samples:
        lines.append(f"samples: here {here.n:,}; there {definition.samples:,}, and uniqueness falls with their number")
    return (*lines, *definition.notes)


def _same(found: str, names: tuple[str, ...]) -> bool:
    return any(name in found.lower() for name in names)


def under_protocol(settings: ScreenSettings, relax: bool | None = None) -> ScreenSettings:
    """Settings in which what the user left open is the protocol's, where one is followed.

    Arguments:
        settings: What the user gave.
        relax: Whether structures are relaxed; by default as the protocol has it, and without one they are.

    Raises:
        UserError: There is no such protocol.
    """
    said = settings.model_fields_set
    definition = protocol_of(settings)
    if definition is not None:
        fixed = {name: value for name, value in definition.settings.items() if name not in said}
        settings = settings.model_copy(update=fixed)
    if relax is None:
        relax = definition is None or definition.relaxed or bool(said & {"fmax", "max_steps"})
    return settings if relax else settings.without_relaxation()


def protocol_of(settings: ScreenSettings) -> Definition | None:
    """The protocol that was asked for; None without one.

    Raises:
        UserError: There is no such protocol.
    """
    return None if settings.protocol == "none" else find_protocol(settings.protocol)


def matcher_of(settings: ScreenSettings) -> MatchSettings:
    """When two crystals are the same one: the protocol's tolerances, or the usual ones, and the variant asked for."""
    definition = protocol_of(settings)
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
    matcher, definition = matcher_of(settings), protocol_of(settings)
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
    here = Practice(
        potential=potential,
        reference=reference,
        relaxation=settings.relaxation,
        relaxed=settings.fmax < inf,
        matcher=matcher,
        symprec=settings.symprec,
        n=n,
    )
    lines = deviations(definition, here)
    followed = {"follows": definition.name, "source": definition.source, "deviations": lines}
    return stated.model_copy(update=followed)


def run_outcome(run: Run) -> Outcome | None:
    """The rates of the protocol that a run follows; None where it follows none."""
    return outcome(run.record.protocol, run.candidates())


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
