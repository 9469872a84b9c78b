"""Which hull to draw for a run, and what goes on it."""

from __future__ import annotations

from nucleate.crystal.elements import SYMBOLS
from nucleate.report.hull_figure import Point, distance_bars, distance_legend, fractions, hull_figure, ordered_system
from nucleate.report.markup import plural, text
from nucleate.report.run_data import RunData, records


def hull_section(run: RunData) -> str:
    """The phases of the run's chemical system with its candidates; without phases, the candidates' distances."""
    known = run.candidates[run.candidates["formation_energy"].notna() | run.candidates["energy_above_hull"].notna()]
    system = _system(run)
    if not len(known) and not len(run.phases):
        return (
            '<p class="note">No candidate has an energy and the run holds no phases, so there is no hull to draw.</p>'
        )

    def points(symbols: tuple[str, ...]) -> list[Point]:
        found = []
        for row in records(known):
            place = fractions(row["formula"], symbols) if symbols else ()
            if place is not None:
                found.append(Point(row["formula"], place, row["formation_energy"], row["energy_above_hull"], row["id"]))
        return found

    if len(system) in (2, 3) and len(run.phases):
        phases = [
            Point(label, place, energy, note=source)
            for label, energy, source in run.phases[["formula", "formation_energy", "source"]].itertuples(index=False)
            if (place := fractions(label, system)) is not None
        ]
        inside = [p for p in points(system) if p.energy == p.energy]
        outside = len(known) - len(inside)
        note = f'<p class="note">Outside this system: {plural(outside, "candidate")}.</p>' if outside else ""
        name = text("\N{EN DASH}".join(system))
        intro = f'<p class="note">{name}: {plural(len(phases), "known phase")}, {plural(len(inside), "candidate")}.</p>'
        return intro + hull_figure(system, phases, inside, run.threshold) + note
    return (
        '<p class="note">The candidates nearest to their hull.</p>'
        + distance_bars(points(()), run.threshold)
        + distance_legend(run.threshold, phases=False)
    )


def _system(run: RunData) -> tuple[str, ...]:
    """The chemical system to draw: the one the phases belong to, else the one asked for."""
    asked = run.conditions.chemical_system or tuple(run.conditions.composition or ())
    symbols = set(run.hull_system) or {SYMBOLS[z] for z in asked}
    return ordered_system(symbols)
