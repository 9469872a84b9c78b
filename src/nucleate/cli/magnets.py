"""``nucleate magnets``: the permanent-magnet hunt of the two magnet papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nucleate.cli import options

NAME = "magnets"
EXAMPLE = (
    "Example: nucleate magnets --model diffcrysgen-mp -n 10000 --where saturation_magnetization=1.2 -o runs/magnets"
)


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="The hunt's folder.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A model, its folder, or a searcher; repeat for more.",
            show_default="the shipped models of the magnet papers",
        ),
    ] = None,
    structures: Annotated[
        Path | None,
        typer.Option(help="Structures of any origin in place of models: a file, or the folder of a run."),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many crystals of each model.", min=1)] = 1000,
    where: options.Where = None,
    allow_subsystems: options.AllowSubsystems = False,
    elements: Annotated[
        str | None,
        typer.Option(help="Elements that are allowed, by commas.", metavar="Fe,Co,...", show_default="H to Xe, Z ≤ 54"),
    ] = None,
    predictor: Annotated[
        str | None,
        typer.Option(
            help="Network of formation energy and magnetisation that sieves before relaxation; none for none.",
            show_default="the shipped one",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Known crystals with labels: their compositions are not new, the base rate is theirs."),
    ] = None,
    magnetization: Annotated[
        str | None,
        typer.Option(
            help="What counts after relaxation: the network's answer, or the sum of CHGNet's moments.",
            metavar="network|moments",
            show_default="network where there is one",
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Another threshold for a step: predicted_magnetization=0.8, hull=0.1, uniaxial=16..194.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    symmetrize: Annotated[
        float,
        typer.Option(
            help="Move crystals that only low symmetry stops onto the one they have within so many Å. They count where "
            "the matcher calls them the same and they relax no higher.",
            min=0,
        ),
    ] = 0.0,
    cells: Annotated[
        int, typer.Option(help="Primitive cells in the largest supercell of the orderings.", min=1, max=8)
    ] = 2,
    seed: options.Seed = 0,
    guidance: options.Guidance = None,
    sampler: options.Sampler = "default",
    device: options.Device = "auto",
    resume: options.Resume = False,
    workers: options.Workers = None,
    as_json: options.Json = False,
    potential: options.Potential = "chgnet",
    python: options.Python = None,
    reference: options.Reference = "bundled",
    fmax: options.Fmax = None,
    max_steps: options.MaxSteps = None,
    max_seconds: options.MaxSeconds = 60.0,
) -> None:
    """Generate many crystals, sieve them cheaply, relax what is left, and write what remains for DFT."""
    from nucleate import api
    from nucleate.cli.outcome import print_json, resumable
    from nucleate.cli.progress import shown_progress

    with resumable(out), shown_progress() as progress:
        found = api.magnets(
            model or (),
            n,
            out,
            structures=structures,
            where=where or (),
            allow_subsystems=allow_subsystems,
            guidance=guidance or (),
            sampler=sampler,
            device=device,
            elements=[symbol.strip() for symbol in elements.split(",")] if elements is not None else (),
            predictor=predictor,
            data=data,
            magnetization=magnetization,
            thresholds=threshold or (),
            symmetrize=symmetrize,
            cells=cells,
            resume=resume,
            workers=workers,
            progress=progress,
            seed=seed,
            potential=potential,
            python=python,
            reference=reference,
            fmax=fmax,
            max_steps=max_steps,
            max_seconds=max_seconds,
        )
    if as_json:
        print_json({"folder": str(out), "report": str(out / "magnets.html"), **found})
        return
    _show(out, found, threshold or [])


def _show(out: Path, found: dict[str, Any], thresholds: list[str]) -> None:
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
