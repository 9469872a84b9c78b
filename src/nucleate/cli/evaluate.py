"""``nucleate evaluate``: the metrics of a set of structures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nucleate.cli import options
from nucleate.errors import UserError

NAME = "evaluate"
EXAMPLE = "Example: nucleate evaluate generated.zip --json"


def command(
    structures: Annotated[
        Path | None, typer.Argument(help="CIF, folder or zip of CIFs, extxyz, Parquet, CSV with a cif column.")
    ] = None,
    self_check: Annotated[
        bool,
        typer.Option(
            "--self-check",
            help="Instead of structures: do potential and reference tell known phases from shuffled and random ones?",
        ),
    ] = False,
    relax: Annotated[
        bool | None,
        typer.Option(
            "--relax/--no-relax",
            help="Without: take the structures as relaxed already.",
            show_default="relax, or as the protocol has it",
        ),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    potential: options.Potential = "chgnet",
    python: options.Python = None,
    reference: options.Reference = "bundled",
    protocol: options.Protocol = "none",
    matcher: options.Matcher = None,
    stable_within: options.StableWithin = None,
    descriptors: options.Descriptors = None,
    funnel: options.Funnel = "none",
    threshold: options.Threshold = None,
) -> None:
    """Validity, uniqueness, novelty, stability and S.U.N. of a set, each with protocol and interval."""
    from nucleate import api
    from nucleate.cli.outcome import print_json, warn
    from nucleate.cli.progress import shown_progress
    from nucleate.settings import resolve_device

    resolve_device(device)
    if self_check:
        if structures is not None:
            raise UserError("evaluate", f"--self-check and {structures}", "one of the two")
        _show_checks(
            as_json,
            workers=workers,
            seed=seed,
            potential=potential,
            python=python,
            reference=reference,
            protocol=protocol,
            matcher=matcher,
            stable_within=stable_within,
        )
        return
    if structures is None:
        raise UserError("evaluate", "no structures", "a file of structures, or --self-check")
    with shown_progress() as progress:
        summary = api.evaluate(
            structures,
            relax=relax,
            workers=workers,
            progress=progress,
            seed=seed,
            potential=potential,
            python=python,
            reference=reference,
            protocol=protocol,
            matcher=matcher,
            stable_within=stable_within,
            descriptors=descriptors,
            funnel=funnel,
            thresholds=tuple(threshold or ()),
        )
    warn(summary)
    if as_json:
        print_json(summary.to_dict())
    else:
        typer.echo(str(summary))


def _show_checks(as_json: bool, **asked: Any) -> None:
    """Run the self-check, show it, and fail on the first check that failed."""
    from nucleate import api
    from nucleate.cli.outcome import print_json
    from nucleate.cli.progress import shown_progress

    with shown_progress() as progress:
        checks = api.self_check(progress=progress, **asked)
    if as_json:
        print_json({"checks": [check.to_dict() for check in checks]})
    else:
        typer.echo("\n".join(map(str, checks)))
    for check in checks:
        if not check.passed:
            raise UserError(f"self-check, {check.rate.name}", f"{check.rate.value:.0%}", check.expected)
