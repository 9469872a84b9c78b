"""The published protocol that a run follows: its settings, matcher and rates, and where the run departs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from nucleate.config import ScreenSettings

if TYPE_CHECKING:
    from nucleate.campaign.run_store import Run
    from nucleate.evaluation.protocols import Definition, Outcome
    from nucleate.evaluation.reduction import MatchSettings


def screen_settings(given: Mapping[str, Any], relax: bool | None = None) -> ScreenSettings:
    """Settings from what the user gave; what he left open is the protocol's, or else the default.

    Arguments:
        given: Fields of ``ScreenSettings``; None is left open.
        relax: Whether structures are relaxed; by default as the protocol has it, and without one they are.

    Raises:
        UserError: There is no such protocol, or a value does not fit.
    """
    from nucleate.evaluation.published_protocols import find_protocol

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
    from nucleate.evaluation.published_protocols import find_protocol

    return None if settings.protocol == "none" else find_protocol(settings.protocol)


def asked_matcher(settings: ScreenSettings) -> MatchSettings:
    """When two crystals are the same one: the protocol's tolerances, or the usual ones, and the variant asked for."""
    from nucleate.evaluation.reduction import SAME_STRUCTURE

    definition = asked_protocol(settings)
    matcher = SAME_STRUCTURE if definition is None else definition.matcher
    return matcher if settings.matcher is None else replace(matcher, variant=settings.matcher)


def protocol_record(settings: ScreenSettings, potential: str, reference: str, n: int) -> dict[str, Any]:
    """What ``run.json`` says of the protocol followed, beside how the run was made; empty without one."""
    from nucleate.evaluation.protocols import deviations

    definition = asked_protocol(settings)
    if definition is None:
        return {}
    lines = deviations(
        definition,
        potential=potential,
        reference=reference,
        relaxation=settings.relaxation,
        relaxed=settings.fmax < inf,
        matcher=asked_matcher(settings),
        symprec=settings.symprec,
        n=n,
    )
    return {"follows": definition.name, "source": definition.source, "deviations": list(lines)}


def run_outcome(run: Run) -> Outcome | None:
    """The rates of the protocol that a run follows; None where it follows none."""
    from nucleate.evaluation.published_protocols import outcome

    return outcome(run.record["protocol"], run.candidates())
