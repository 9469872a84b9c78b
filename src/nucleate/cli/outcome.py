"""How a verb ends: what it prints, and what it says when it is stopped or fails."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from nucleate.errors import RELAXED, UserError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from pydantic import JsonValue
    from rich.console import RenderableType

    from nucleate.campaign.self_check import Check
    from nucleate.campaign.wyckoff import FillingCost
    from nucleate.evaluation.phase_diagram import PhaseDiagram
    from nucleate.evaluation.summary import Summary
    from nucleate.runs.run import Run

INTERRUPTED = 130
WIDE = 160
"""Columns that tables may take."""


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def note(text: str) -> None:
    """A line for the reader, on standard error."""
    typer.echo(text, err=True)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """On Ctrl-C keep what is finished and say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"\nstopped; what is finished is kept in {folder}. Go on with:\n  {resume_command(sys.argv[1:])}")
        raise typer.Exit(INTERRUPTED) from None


def resume_command(arguments: list[str]) -> str:
    """The same command with ``--resume``."""
    extra = [] if "--resume" in arguments else ["--resume"]
    return shlex.join(["nucleate", *arguments, *extra])


def warn(summary: Summary) -> None:
    """Print the warnings of a summary on standard error, where it is seen whoever reads the output."""
    for text in summary.warnings:
        note(f"warning: {text}")


def show_run(run: Run, as_json: bool, top: int = 10) -> None:
    """The best candidates of a run and its rates."""
    from nucleate.campaign.export import run_summary
    from nucleate.screening.ranking import ranked

    summary = run_summary(run)
    warn(summary)
    table = ranked(run.candidates(), run.record.request)
    report = run.folder / "report.html"
    if as_json:
        columns = ["rank", "id", "formula", "status", "energy_above_hull", "relaxed_space_group", "is_stable"]
        columns += ["is_unique", "is_novel", "meets_request"]
        best = json.loads(table[columns].head(top).to_json(orient="records"))
        print_json({"run": str(run.folder), "report": str(report), "best": best, "summary": summary.to_dict()})
        return
    _print_table(table.head(top))
    _say_what_failed(table)
    typer.echo(summary.headline)
    typer.echo(f"\nreport: {report}\ntable:  {run.folder / 'ranked.csv'}\nCIFs:   {run.folder / 'cifs'}")


def _say_what_failed(table: Any, most: int = 5) -> None:
    """Candidates without a result and why, on standard error: they are last in the ranking, and seldom seen there."""
    failed = table[~table["status"].isin(RELAXED)]
    for row in failed.head(most).itertuples():
        note(f"{row.id}: {row.status}{f', {row.reason}' if row.reason else ''}")
    if len(failed) > most:
        note(f"and {len(failed) - most} more without a result; {', '.join(failed['status'].unique())} in ranked.csv")


def _print_table(table: Any) -> None:
    import pandas as pd
    from rich.table import Table

    shown = Table(title="Best candidates", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("rank", "id", "formula"):
        shown.add_column(head, no_wrap=True)
    for head in ("E hull\neV/atom", "competing\nphases", "space\ngroup", "stable", "unique", "novel", "formula\nknown"):
        shown.add_column(head, justify="right", no_wrap=True)
    shown.add_column("status", no_wrap=True)
    for row in table.itertuples():
        flags = (row.is_stable, row.is_unique, row.is_novel, row.formula_known)
        shown.add_row(
            str(row.rank),
            row.id,
            row.formula,
            _number(row.energy_above_hull, ".3f"),
            _number(row.n_competing_phases, ".0f"),
            _number(row.relaxed_space_group, ".0f"),
            *("?" if pd.isna(flag) else "yes" if flag else "no" for flag in flags),
            row.status,
        )
    print_in_full(shown)


def print_in_full(shown: RenderableType) -> None:
    """Print a table; a narrow terminal folds its lines, but no cell is cut off."""
    from rich.console import Console

    console = Console()
    console.width = max(console.width, WIDE)
    console.print(shown)


def _number(value: Any, form: str) -> str:
    return "?" if value is None or value != value else format(float(value), form)


def plain_rows(table: pd.DataFrame) -> list[dict[str, JsonValue]]:
    """The rows of a table for JSON; what is missing is None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def show_checks(checks: Sequence[Check], as_json: bool) -> None:
    """The checks of a potential and a reference.

    Raises:
        UserError: One of them failed.
    """
    if as_json:
        print_json({"checks": [check.to_dict() for check in checks]})
    else:
        typer.echo("\n".join(map(str, checks)))
    for check in checks:
        if not check.passed:
            raise UserError(f"self-check, {check.rate.name}", f"{check.rate.value:.0%}", check.expected)


def show_phase_diagram(found: PhaseDiagram, out: Path, as_json: bool) -> None:
    """Print a row for each model, and the new phases on the combined hull."""
    import pandas as pd

    methods = pd.read_csv(out / "methods.csv")
    if as_json:
        phases = found.phases.to_dict("records")
        print_json({"folder": str(out), "methods": methods.to_dict("records"), "phases": phases})
        return
    new = found.phases[found.phases["is_new"]]
    typer.echo(methods.to_string(index=False))
    typer.echo(f"\non the combined hull: {len(found.phases)} phases, {len(new)} of them new")
    if len(new):
        typer.echo(new[["formula", "formation_energy", "gain", "found_by"]].to_string(index=False))
    typer.echo(f"\npage:   {out / 'phase_diagram.html'}\nphases: {out / 'phases.csv'}")


def show_magnets(found: Mapping[str, Any], out: Path, thresholds: Sequence[str]) -> None:
    """The steps, the finalists, and where the rest lies."""
    steps = found["counts"]["steps"]
    width = max(len(step["keep"]) for step in steps)
    typer.echo(f"{found['n']:,} crystals")
    for step in steps:
        count = step["in_sequence"]
        typer.echo(f"  {step['keep']:<{width}} {step['unit']:<8}{count['passed']:>8,} of {count['entered']:,}")
    end = found["dead_end"]
    if end is not None:
        typer.echo(f"\nnothing passes {end['step']}: {end['advice']}")
        if end["threshold"]:
            name = end["threshold"].partition("=")[0]
            kept = [item for item in thresholds if item.partition("=")[0] != name]
            asked = " ".join(f"--threshold {item}" for item in [*kept, end["threshold"]])
            typer.echo(f"  with the same crystals: nucleate magnets --structures {out} {asked} -o NEW")
    for row in found["finalists"][:10]:
        typer.echo(
            f"  {row['id']} {row['formula']:<14} {row['energy_above_hull']:.3f} eV/atom above the hull, "
            f"{row['saturation_magnetization']:.2f} T, space group {row['relaxed_space_group']:.0f}"
        )
    typer.echo(f"\npage:  {out / 'magnets.html'}\ntable: {out / 'finalists.csv'}")


def show_realised(table: pd.DataFrame, cost: FillingCost, out: Path, as_json: bool) -> None:
    """The crystals of a protostructure, and what they cost."""
    if as_json:
        print_json({**cost, "out": str(out), "crystals": json.loads(table.to_json(orient="records"))})
        return
    _print_realised(table)
    note(
        f"{len(table)} different crystals in {out}; {cost['calls_in_group']} calls of the potential inside the group, "
        f"{cost['calls_free']} after; {cost['core_seconds_filling']:.1f} + {cost['core_seconds_potential']:.1f} core-s"
    )


def _print_realised(table: pd.DataFrame) -> None:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("rank", "id"):
        shown.add_column(head, no_wrap=True)
    for head in ("energy\neV/atom", "space\ngroup", "relaxed", "same\nlabel", "Å³/atom", "SPP\nkT", "closest\n/ radii"):
        shown.add_column(head, justify="right", no_wrap=True)
    shown.add_column("status", no_wrap=True)
    for row in table.itertuples():
        shown.add_row(
            str(row.rank),
            row.id,
            f"{row.energy_per_atom:.3f}",
            str(row.space_group),
            str(row.relaxed_space_group),
            "yes" if row.keeps_label else "no",
            f"{row.volume_per_atom:.2f}",
            f"{row.proxy:.3f}",
            f"{row.min_radii_fraction:.2f}",
            row.status,
        )
    print_in_full(shown)
