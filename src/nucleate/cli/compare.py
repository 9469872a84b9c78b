"""``nucleate compare``: which model to use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "compare"
EXAMPLE = "Example: nucleate compare pigen-mp random --file theirs=crystals.zip -n 256 -o runs/compared"


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder: a run for each source and the comparison.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models, model folders and searchers; all that ship, random and substitution by default."),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(help="Structures from elsewhere, under a name; repeat for more.", metavar="NAME=PATH"),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many crystals of each.", min=1)] = 256,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="bundled, or a reference built by `nucleate data reference`. Repeat for more: they judge the same "
            "relaxations.",
            rich_help_panel="Screening",
            show_default="bundled",
        ),
    ] = None,
    per_request: Annotated[
        int | None,
        typer.Option(
            help="Crystals of each of a fixed set of up to twelve requests; 0 leaves them out.",
            min=0,
            show_default="50, or -n if that is fewer",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Structures whose space groups count as the data's.", show_default="those of the reference"),
    ] = None,
    seed: options.Seed = 0,
    sampler: options.Sampler = "default",
    draw_below: options.DrawBelow = None,
    device: options.Device = "auto",
    resume: options.Resume = False,
    workers: options.Workers = None,
    as_json: options.Json = False,
    potential: options.Potential = "chgnet",
    python: options.Python = None,
    stable_within: options.StableWithin = None,
    descriptors: options.Descriptors = None,
    funnel: options.Funnel = "pigen",
    fmax: options.Fmax = None,
    max_steps: options.MaxSteps = None,
    max_seconds: options.MaxSeconds = 60.0,
    chunk_size: options.ChunkSize = 32,
) -> None:
    """Sample several models and files of structures, screen all under one protocol, and set them side by side."""
    from nucleate import api
    from nucleate.campaign.comparison.sources import parse_files
    from nucleate.cli.outcome import print_json, resumable
    from nucleate.cli.progress import shown_progress
    from nucleate.report.side_by_side import headline

    files = parse_files(file or ())
    with resumable(out), shown_progress() as progress:
        api.compare(
            models or (),
            n,
            out,
            files=files,
            references=reference or ("bundled",),
            per_request=min(50, n) if per_request is None else per_request,
            data=data,
            sampler=sampler,
            draw_below=draw_below,
            device=device,
            resume=resume,
            workers=workers,
            progress=progress,
            seed=seed,
            potential=potential,
            python=python,
            stable_within=stable_within,
            descriptors=descriptors,
            funnel=funnel,
            fmax=fmax,
            max_steps=max_steps,
            max_seconds=max_seconds,
            chunk_size=chunk_size,
        )
    table = headline(out)
    if as_json:
        print_json({"folder": str(out), "page": str(out / "comparison.html"), **table.to_dict()})
        return
    typer.echo(str(table))
    typer.echo(f"\npage:     {out / 'comparison.html'}\nmarkdown: {out / 'comparison.md'}")
    typer.echo(f"table:    {out / 'comparison.csv'}")
