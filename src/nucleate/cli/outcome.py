"""How a verb ends: what it prints, and what it says when it is stopped or fails."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from nucleate.errors import RELAXED

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

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
    """The same command, told to go on."""
    extra = [] if "--resume" in arguments else ["--resume"]
    return shlex.join(["nucleate", *arguments, *extra])


def warn(summary: Summary) -> None:
    """What a reader should doubt, on standard error, where it is seen whoever reads the output."""
    for text in summary.warnings:
        note(f"warning: {text}")


def show_run(run: Run, as_json: bool, top: int = 10) -> None:
    """The best candidates of a run and its rates."""
    from nucleate.campaign.export import run_summary
    from nucleate.screening.ranking import ranked

    summary = run_summary(run)
    warn(summary)
    table = ranked(run.candidates())
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
    for head in ("E hull\neV/atom", "rivals", "space\ngroup", "stable", "unique", "novel"):
        shown.add_column(head, justify="right", no_wrap=True)
    shown.add_column("status", no_wrap=True)
    for row in table.itertuples():
        flags = (row.is_stable, row.is_unique, row.is_novel)
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
