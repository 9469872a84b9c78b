"""``nucleate evaluate``: the metrics of a set of structures."""

from __future__ import annotations

from typing import Annotated

import typer

from nucleate.cli import options

NAME = "evaluate"
EXAMPLE = "Example: nucleate evaluate generated.zip --json"


def command(
    structures: options.Structures,
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
    from nucleate import verbs
    from nucleate.cli.outcome import print_json, warn
    from nucleate.cli.progress import shown_progress
    from nucleate.config import resolve_device

    resolve_device(device)
    with shown_progress() as progress:
        summary = verbs.evaluate(
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
